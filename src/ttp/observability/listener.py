"""Where health and metrics are asked for."""

import importlib.util
import socket

BACKLOG = 64  # clients that wait to be accepted


def listen(address: str) -> socket.socket:
    """A listening socket at HOST:PORT, or at PORT of the loopback.

    Raises:
        ValueError: the address is wrong, or not to be had; or prometheus-client is not installed.
    """
    if importlib.util.find_spec("prometheus_client") is None:
        raise ValueError("--http needs prometheus-client: install ttp with its extra [metrics]")
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"--http takes HOST:PORT or PORT, not {address!r}")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ValueError(f"--http: {host!r} is no address of this machine ({error.strerror})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ValueError(f"--http: cannot listen on {host} port {port}: {error.strerror}; pick another port") from None
    return listener
