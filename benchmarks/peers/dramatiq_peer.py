"""Dramatiq: one process, eight threads (its default). It has no bulk call."""

import dramatiq
import peer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=peer.URL)
if peer.RESULTS:
    broker.add_middleware(Results(backend=RedisBackend(url=peer.URL)))
dramatiq.set_broker(broker)
OPTIONS = {"store_results": True} if peer.RESULTS else {}
TASKS = {f.__name__: dramatiq.actor(f, **OPTIONS) for f in (peer.noop, peer.stamped, peer.slow)}
COMMAND = ("dramatiq", "dramatiq_peer", "--processes", "1", "--threads", "8")
BOTH = ("dramatiq", "dramatiq_peer", "--processes", "2", "--threads", "8")

if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("dramatiq", "redis"),
            configuration="one process, 8 threads",
            send=lambda name, *arguments: TASKS[name].send(*arguments),
        )
    )
