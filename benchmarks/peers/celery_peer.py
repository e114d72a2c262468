"""Celery: prefork, one child. Its bulk call is none: a group sends one message a task."""

import peer
from celery import Celery

app = Celery("bench", broker=peer.URL, backend=peer.URL if peer.RESULTS else None)
app.conf.update(
    task_ignore_result=not peer.RESULTS,
    worker_prefetch_multiplier=128,
    worker_send_task_events=False,
    task_send_sent_event=False,
    broker_connection_retry_on_startup=True,
)
TASKS = {f.__name__: app.task(name=f.__name__)(f) for f in (peer.noop, peer.stamped, peer.slow)}
WORKER = ("celery", "-A", "celery_peer:app", "worker", "--pool=prefork", "--loglevel=ERROR")
COMMAND = (*WORKER, "--concurrency=1", "--without-gossip", "--without-mingle", "--without-heartbeat")
BOTH = (*WORKER, "--concurrency=2")  # its default where there are two cores

if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("celery", "kombu", "redis"),
            configuration="prefork, one child, prefetch multiplier 128, no gossip, mingle, heartbeat or events",
            send=lambda name, *arguments: TASKS[name].delay(*arguments),
        )
    )
