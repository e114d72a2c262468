"""huey: threads, blocking pops. It has no bulk call."""

import peer
from huey import RedisHuey

huey = RedisHuey("bench", url=peer.URL, results=peer.RESULTS)
TASKS = {f.__name__: huey.task(name=f.__name__)(f) for f in (peer.noop, peer.stamped, peer.slow)}
CONSUMER = "huey.bin.huey_consumer"  # whose program has other names in other releases
WORKER = ("python", "-m", CONSUMER, "huey_peer.huey", "--workers", "2", "--no-periodic", "--quiet", "--worker-type")
COMMAND = (*WORKER, "thread")
BOTH = (*WORKER, "process")

if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("huey", "redis"),
            configuration="RedisHuey, one process, 2 threads, no periodic tasks",
            send=lambda name, *arguments: TASKS[name](*arguments),
        )
    )
