"""taskiq: the list broker, its fastest; async handlers, as sync ones go through a thread pool. It has no bulk call."""

import peer
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

broker = ListQueueBroker(peer.URL, socket_timeout=None)  # redis-py 8 would end idle workers after 5 s
if peer.RESULTS:
    broker = broker.with_result_backend(RedisAsyncResultBackend(peer.URL, result_ex_time=300))


@broker.task
async def noop(n: int) -> int:
    return peer.noop(n)


@broker.task
async def stamped(n: int, due: int) -> None:
    peer.stamped(n, due)


@broker.task
async def slow(n: int) -> None:
    peer.slow(n)


TASKS = {"noop": noop, "stamped": stamped, "slow": slow}
COMMAND = ("taskiq", "worker", "taskiq_peer:broker", "--workers", "1", "--no-configure-logging")


async def send(name: str, *arguments: int) -> None:
    await TASKS[name].kiq(*arguments)


if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("taskiq", "taskiq-redis", "redis"),
            configuration="ListQueueBroker, one process, async handlers",
            send=send,
            finish=broker.shutdown,
        )
    )
