"""Where a server is: redis://, rediss://, valkey://, unix://."""

import os
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True, slots=True)
class Target:
    """A server's address. `str()` is the URL without secrets.

    Attributes:
        path: of a unix socket; empty: TCP to host and port.
        tls_files: ssl_ca_certs, ssl_certfile, ssl_keyfile; certificate and host name are always verified.
    """

    host: str = ""
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    tls_files: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL: ``redis[s]://[user:password@]host[:port][/db]`` or ``unix://[user:password@]/path[?db=n]``.

        ValueError for anything else; the message does not show the URL, which may hold a password.
        """
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            db = int(query.pop("db", "0"))
            port = parts.port or 6379
        except ValueError as error:
            raise ValueError(f"server URL: {str(error).replace(url, '…')}") from None
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        tls_files = tuple((name, query.pop(name)) for name in _TLS_FILES if name in query)
        if query:
            raise ValueError(f"server URL: unknown option {next(iter(query))!r} (known: db, {', '.join(_TLS_FILES)})")
        if parts.scheme == "unix":
            if not parts.path or parts.hostname:
                raise ValueError("server URL: a unix socket is written unix:///absolute/path")
            return cls(path=unquote(parts.path), db=db, username=username, password=password)
        if parts.scheme not in ("redis", "rediss", "valkey", "valkeys"):
            raise ValueError("server URL: it must begin redis://, rediss://, valkey://, valkeys:// or unix://")
        if path := parts.path.strip("/"):
            if not path.isdecimal():
                raise ValueError("server URL: after the host comes the number of a database, as in redis://host/0")
            db = int(path)
        return cls(
            host=parts.hostname or "localhost",
            port=port,
            db=db,
            username=username,
            password=password,
            tls=parts.scheme in ("rediss", "valkeys"),
            tls_files=tls_files,
        )

    @classmethod
    def of_socket(cls, path: str | os.PathLike[str]) -> Self:
        """A server behind a unix socket."""
        return cls(path=os.fspath(path))

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}" + (f"?db={self.db}" if self.db else "")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.db}"
