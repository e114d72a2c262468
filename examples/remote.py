"""The same from a program that has only the tasks' names: `python examples/remote.py`."""

import ttp

with ttp.App("quickstart") as app:
    ingest, celsius = app.remote("ingest"), app.remote("celsius")
    handles = [ingest.submit(f"pump-{n % 3}", 20.0 + n) for n in range(9)]
    for handle in handles:
        print(handle.id, handle.result(timeout=10))
    print("212 °F are", celsius.submit(212.0).result(timeout=10), "°C")
