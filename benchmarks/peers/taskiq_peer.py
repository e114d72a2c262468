"""taskiq: the list broker; async handlers, as sync ones go through a thread pool. It has no bulk call.

Its other broker, on streams, is taskiq_stream_peer.
"""

from typing import Any

import peer
from taskiq import AsyncBroker
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend


async def noop(n: int) -> int:
    return peer.noop(n)


async def stamped(n: int, due: int) -> None:
    peer.stamped(n, due)


async def slow(n: int) -> None:
    peer.slow(n)


def ready(broker: AsyncBroker) -> AsyncBroker:
    """The broker with results, where they are on, and the tasks.

    They are named here: taskiq renames functions, and names the tasks of a program after its file, which the worker,
    for which it is a module, would not know.
    """
    if peer.RESULTS:
        broker = broker.with_result_backend(RedisAsyncResultBackend(peer.URL, result_ex_time=300))
    for name, function in {"noop": noop, "stamped": stamped, "slow": slow}.items():
        broker.task(name)(function)
    return broker


def command(broker: str, processes: int = 1) -> tuple[str, ...]:
    """Its worker; arguments are taken as they come."""
    return ("taskiq", "worker", broker, "--workers", str(processes), "--no-parse", "--no-configure-logging")


def main(broker: AsyncBroker, configuration: str) -> None:
    """The part of `peer.main` that both brokers share."""

    async def send(name: str, *arguments: Any) -> None:
        await broker.find_task(name).kiq(*arguments)

    peer.main(
        peer.Peer(
            packages=("taskiq", "taskiq-redis", "redis"),
            configuration=f"{configuration}, one process, async handlers, arguments not parsed",
            send=send,
            finish=broker.shutdown,
        )
    )


broker = ready(ListQueueBroker(peer.URL, socket_timeout=None))  # redis-py 8 would end idle workers after 5 s
COMMAND = command("taskiq_peer:broker")
BOTH = command("taskiq_peer:broker", 2)

if __name__ == "__main__":
    main(broker, "ListQueueBroker, which deletes a task as it is fetched")
