"""ArdiQ: a Rust core; async handlers, bulk by `enqueue_many`."""

from collections.abc import Sequence

import peer
from ardiq import Ardiq

OPTIONS = {} if peer.RESULTS else {"result_ttl_ms": 0}
app = Ardiq(peer.URL, concurrency=256, **OPTIONS)


@app.task
async def noop(n: int) -> int:
    return peer.noop(n)


@app.task
async def stamped(n: int, due: int) -> None:
    peer.stamped(n, due)


@app.task
async def slow(n: int) -> None:
    peer.slow(n)


TASKS = {"noop": noop, "stamped": stamped, "slow": slow}
COMMAND = ("ardiq", "run", "ardiq_peer:app", "--quiet")
BOTH = (*COMMAND, "--workers", "2")


async def send(name: str, *arguments: int) -> None:
    await TASKS[name].enqueue(*arguments)


async def send_many(name: str, rows: Sequence[tuple[int, ...]]) -> None:
    await app.enqueue_many([TASKS[name].prepare(*row) for row in rows])


if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("ardiq",),
            configuration="one process, concurrency 256, async handlers, result_ttl_ms 0 where results are off",
            send=send,
            send_many=send_many,
        )
    )
