"""ttp: `submit` is the call for one task, `submit_many` the bulk call; `emit`, the telemetry path, is ttp_emit_peer."""

import peer

import ttp

app = ttp.App("bench", peer.URL, result_ttl=300.0 if peer.RESULTS else 0.0)
TASKS = {f.__name__: app.task(name=f.__name__)(f) for f in (peer.noop, peer.stamped, peer.slow)}
COMMAND = ("ttp", "worker", "ttp_peer:app")
BOTH = (*COMMAND, "--processes", "2")

if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("ttp", "redis"),
            configuration="one process, `submit` and `submit_many`",
            send=lambda name, *arguments: TASKS[name].submit(*arguments),
            send_many=lambda name, rows: TASKS[name].submit_many(rows),
            finish=app.flush,
        )
    )
