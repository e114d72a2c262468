"""What type checkers must refuse: one mistake a line, each marked."""

from datetime import UTC, datetime

from samples import Reading, app, elsewhere, plain, store, waits

import ttp
from ttp import testing

# Calls that do not fit the handler's signature.
plain.submit(1)  # MISTAKE a number for a name
plain.emit("x", "y")  # MISTAKE text for a number
plain.submit("x", 1.0, 2.0)  # MISTAKE too many
plain.emit(devise="x")  # MISTAKE no such name
plain(1)  # MISTAKE the plain function is typed too
plain.options(delay=1.0).emit(1)  # MISTAKE options keep the signature
plain.submit_many(["x"])  # MISTAKE rows are tuples
store.emit("pump")  # MISTAKE fields are missing
store.submit("pump", datetime.now(UTC), "1.0")  # MISTAKE text for a number
app.remote(elsewhere).emit(1)  # MISTAKE a signature is a signature
app.remote(elsewhere)("x")  # MISTAKE the code is not here
app.remote(3)  # MISTAKE neither a name nor a signature

# Results.
text: str = waits.submit(1).result()  # MISTAKE a list
plain.submit("x").result(timeout="1")  # MISTAKE text for seconds
handle: ttp.TaskHandle[str] = plain.submit("x")  # MISTAKE a handle of a float
app.handle(3)  # MISTAKE ids are text


async def in_a_loop() -> None:
    """From an event loop."""
    await plain.asubmit(1)  # MISTAKE a number for a name
    await plain.emit("x")  # MISTAKE emit does not wait
    round(await plain.asubmit("x"))  # MISTAKE the first await gives the handle


# Options.
plain.options(priority="urgent")  # MISTAKE no such priority
plain.options(delay="1")  # MISTAKE text for seconds
plain.options(at=1.0)  # MISTAKE a number for a time
ttp.App("x", on_full="wait")  # MISTAKE no such policy
ttp.App("x", lifespan=3)  # MISTAKE not what makes a context manager
ttp.RetryPolicy(3, 0.1)  # MISTAKE delays have names
ttp.RetryPolicy(retry_on=OSError)  # MISTAKE not a tuple
ttp.WorkerPool(app, threads="2")  # MISTAKE text for a count
ttp.WorkerPool("plant:app")  # MISTAKE not an app
testing.worker(app, processes=2)  # MISTAKE one process
ttp.RetryAfter("soon")  # MISTAKE text for seconds
ttp.current_task().attempt = 2  # MISTAKE read only


@app.task(priority="urgent")  # MISTAKE no such priority
def urgent() -> None:
    """Never made."""


@app.batch(Reading)  # MISTAKE a batch of other rows
def numbers(batch: ttp.Batch[int]) -> None:
    """Never made."""
