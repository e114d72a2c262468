"""RQ: SimpleWorker, which does not fork for each job; bulk by `enqueue_many`."""

import peer
import redis
from rq import Queue

TASKS = {f.__name__: f"peer.{f.__name__}" for f in (peer.noop, peer.stamped, peer.slow)}
WORKER = ("--url", peer.URL, "--worker-class", "rq.worker.SimpleWorker", "--quiet", "default")
COMMAND = ("rq", "worker", *WORKER)
BOTH = ("rq", "worker-pool", "--num-workers", "2", *WORKER)
TTL = 300 if peer.RESULTS else 0
queue = Queue(connection=redis.Redis.from_url(peer.URL))

if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("rq", "redis"),
            configuration="SimpleWorker (no fork per job), result_ttl 0 where results are off",
            send=lambda name, *arguments: queue.enqueue(TASKS[name], args=arguments, result_ttl=TTL),
            send_many=lambda name, rows: queue.enqueue_many(
                [Queue.prepare_data(TASKS[name], args=row, result_ttl=TTL) for row in rows]
            ),
        )
    )
