"""mayu: a Rust core; process mode, as the interpreter has a GIL. It has no bulk call."""

import mayu
import peer

app = mayu.App(peer.URL, result_ttl=300 if peer.RESULTS else None)
TASKS = {f.__name__: app.task(f, name=f.__name__) for f in (peer.noop, peer.stamped, peer.slow)}
WORKER = ("mayu", "worker", "mayu_peer:app", "--mode", "process", "--prefetch-multiplier", "64", "--processes")
COMMAND = (*WORKER, "1")
BOTH = (*WORKER, "2")

if __name__ == "__main__":
    peer.main(
        peer.Peer(
            packages=("mayu",),
            configuration="process mode, one process, prefetch multiplier 64",
            send=lambda name, *arguments: TASKS[name].send(*arguments),
        )
    )
