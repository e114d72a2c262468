"""ttp by `emit`: one call for each task, buffered; `flush` at the end is part of the time."""

import peer
from ttp_peer import BOTH as BOTH
from ttp_peer import COMMAND as COMMAND
from ttp_peer import TASKS, app

if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("ttp", "redis"),
            configuration="one process, `emit`",
            send=lambda name, *arguments: TASKS[name].emit(*arguments),
            finish=app.flush,
            buffered=True,
        )
    )
