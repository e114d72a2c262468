"""What becomes of a coroutine that a handler returned instead of awaiting it. Shared by both twins."""

from collections.abc import Coroutine
from typing import Any, NoReturn


def refuse(coroutine: Coroutine[Any, Any, Any]) -> NoReturn:
    """Close it, and raise the TypeError that says so."""
    coroutine.close()
    raise TypeError(
        "the handler returned a coroutine that nobody awaits: await it in an `async def` handler of @app.task,"
        " or run it by asyncio.run"
    )
