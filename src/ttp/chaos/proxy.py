"""A TCP proxy on loopback that cuts connections where it is told to."""

import contextlib
import socket
import threading
from random import Random


class Proxy:
    """Forwards to `port`; every connection is one pair of threads.

    Attributes:
        port: where it listens.
        cuts: connections cut so far.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts = 0
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._armed: tuple[str, int] | None = None
        self._chance: tuple[Random, int, int] | None = None
        self._silent: set[tuple[socket.socket, socket.socket]] = set()
        threading.Thread(target=self._accept, name="chaos-proxy", daemon=True).start()

    def arm(self, direction: str, after: int) -> None:
        """Cut once, when `after` more bytes have passed in a direction: "request" or "reply"."""
        with self._lock:
            self._armed = (direction, after)

    @property
    def left(self) -> int | None:
        """Bytes that have to pass before the cut that `arm` ordered; None once it has happened."""
        armed = self._armed
        return None if armed is None else armed[1]

    def disarm(self) -> None:
        """Cut nothing any more."""
        with self._lock:
            self._armed = self._chance = None

    def cut_at_random(self, rng: Random, one_in: int, until: int) -> None:
        """From now on cut one in so many passages of bytes, at a random byte, until `cuts` is that many."""
        with self._lock:
            self._chance = (rng, one_in, until)

    def reroute(self, server_port: int, *, black_hole: bool) -> None:
        """New connections go elsewhere; the old ones are cut, or, as a black hole, just pass nothing any more."""
        with self._lock:
            self._server_port = server_port
            pairs = list(self._pairs)
            self._silent.update(pairs)
        if not black_hole:
            for pair in pairs:
                self._close(pair)

    def close(self) -> None:
        """End everything."""
        self._listener.close()
        for pair in list(self._pairs):
            self._close(pair)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, sink, direction in ((client, server, "request"), (server, client, "reply")):
                threading.Thread(target=self._pass, args=(pair, source, sink, direction), daemon=True).start()

    def _pass(
        self, pair: tuple[socket.socket, socket.socket], source: socket.socket, sink: socket.socket, direction: str
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if pair in self._silent:
                    continue
                keep = self._judge(direction, len(data))
                sink.sendall(data if keep is None else data[:keep])
                if keep is not None:
                    break
        if pair not in self._silent:
            self._close(pair)

    def _judge(self, direction: str, size: int) -> int | None:
        """How many bytes may pass before the cut; None: all, without one."""
        with self._lock:
            if self._armed is not None and self._armed[0] == direction:
                after = self._armed[1]
                if after <= size:
                    self._armed = None
                    self.cuts += 1
                    return after
                self._armed = (direction, after - size)
            elif self._chance is not None:
                rng, one_in, limit = self._chance
                if self.cuts < limit and rng.randrange(one_in) == 0:
                    self.cuts += 1
                    return rng.randrange(size + 1)
        return None

    def _close(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
