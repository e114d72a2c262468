"""What type checkers must refuse: one mistake a line, each marked."""

from samples import app, plain, store, waits

plain.submit(1)  # MISTAKE a number for a name
plain.emit("x", "y")  # MISTAKE text for a number
plain.submit("x", 1.0, 2.0)  # MISTAKE too many
plain.emit(devise="x")  # MISTAKE no such name
plain.options(priority="urgent")  # MISTAKE no such priority
text: str = waits.submit(1).result()  # MISTAKE a list
store.emit("pump")  # MISTAKE fields are missing
app.remote(3)  # MISTAKE neither a name nor a signature
