"""Submit tasks and print their results: `python -m examples.submit`, beside a worker of examples.quickstart."""

from examples.quickstart import app, celsius, ingest

with app:
    handles = [ingest.submit(f"pump-{n % 3}", 20.0 + n) for n in range(9)]
    for handle in handles:
        print(handle.id, handle.result(timeout=10))
    print("212 °F are", celsius.submit(212.0).result(timeout=10), "°C")
