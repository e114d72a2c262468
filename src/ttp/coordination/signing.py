"""Signatures of frames and results (docs/wire-format.md, Signatures): HMAC-SHA256 under keys with numbers."""

import hmac
import os
from collections.abc import Mapping

from ttp.coordination.keys import MARK, OVERHEAD
from ttp.errors import BadSignature

_TAG = 32
_LEAST = 32  # bytes of a key: as many as the HMAC has


class SigningKeys:
    """Keys that frames and results are signed with. Never shown: not in repr, logs or errors.

    Args:
        keys: secret of at least 32 random bytes by its number, 0 to 4,294,967,295. The first signs, all are
            accepted: a key is rotated by adding the new one last everywhere, then moving it to the front
            everywhere, then leaving out the old one.

    Raises:
        ValueError: there is no key, or one that cannot be used.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        if not keys:
            raise ValueError("signing needs at least one key")
        for number, secret in keys.items():
            if not 0 <= number < 1 << 32:
                raise ValueError("the number of a signing key must be between 0 and 4294967295")
            if not isinstance(secret, bytes) or len(secret) < _LEAST:  # type: ignore[redundant-expr]
                raise ValueError(f"signing key {number} is no bytes object of at least 32: use secrets.token_bytes(32)")
        # Keyed once, copied for each signature.
        self._macs = {number: hmac.new(secret, digestmod="sha256") for number, secret in keys.items()}
        self._number = next(iter(keys))

    @classmethod
    def from_environment(cls) -> "SigningKeys | None":
        """Those in $TTP_SIGNING_KEYS, `number=hexadecimal` with commas between; None where it is unset or empty."""
        text = os.environ.get("TTP_SIGNING_KEYS", "")
        if not text:
            return None
        keys = {}
        for item in text.split(","):
            number, _, secret = item.partition("=")
            try:
                keys[int(number)] = bytes.fromhex(secret)
            except ValueError:
                # From None: the error would quote what it could not read.
                raise ValueError("TTP_SIGNING_KEYS must be number=hexadecimal, with commas between keys") from None
        return cls(keys)

    def __repr__(self) -> str:
        return f"<SigningKeys {', '.join(map(str, self._macs))}; {self._number} signs>"

    def __reduce__(self) -> str:
        raise TypeError("signing keys are not pickled: they are secrets")

    def sign(self, scope: str, data: bytes | memoryview) -> bytes:
        """The data with a signature behind it, which holds within the scope only."""
        mark = MARK + self._number.to_bytes(4, "little")
        return b"".join((data, mark, self._tag(self._number, scope, data, mark)))

    def verify(self, scope: str, signed: bytes) -> bytes:
        """The data without its signature. BadSignature, and nothing of it is looked at, if that is not ours."""
        data, mark, tag = memoryview(signed)[:-OVERHEAD], signed[-OVERHEAD:-_TAG], signed[-_TAG:]
        if len(signed) < OVERHEAD or not mark.startswith(MARK):
            raise BadSignature("bad signature: there is none")
        number = int.from_bytes(mark[4:], "little")
        if number not in self._macs:
            raise BadSignature(f"bad signature: key {number} is not accepted here")
        if not hmac.compare_digest(tag, self._tag(number, scope, data, mark)):
            raise BadSignature("bad signature: it does not match")
        return bytes(data)

    def _tag(self, number: int, scope: str, data: bytes | memoryview, mark: bytes) -> bytes:
        mac = self._macs[number].copy()
        mac.update(scope.encode() + b"\0")  # names of keys have no zero bytes
        mac.update(data)
        mac.update(mark)
        return mac.digest()
