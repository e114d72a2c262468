"""`ttp ui`: the status page."""

import secrets
from importlib.util import find_spec
from typing import Annotated

import typer

from ttp.app import App
from ttp.cli.output import Url, usage

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")]
AppName = Annotated[str | None, typer.Option("--app", help="Show this app only; default: all.")]
Actions = Annotated[bool, typer.Option("--allow-actions", help="Let the page retry and drop dead letters.")]
Token = Annotated[
    str | None,
    typer.Option(envvar="TTP_UI_TOKEN", help="What a browser must bring; made up where the address is not loopback."),
]


def ui(
    host: Host = "127.0.0.1",
    port: Port = 8420,
    app_name: AppName = None,
    allow_actions: Actions = False,
    token: Token = None,
    url: Url = None,
) -> None:
    """Serve the status page: queues, workers, rates, waits, circuit breakers and dead letters, live.

    Ends with Ctrl-C.
    """
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        usage("the status page needs two packages more: pip install 'ttp[ui]'")
    from ttp.observability.ui import guard, web  # noqa: PLC0415 - an extra
    from ttp.observability.ui.monitor import Monitor  # noqa: PLC0415

    if token is not None and not (token.isascii() and token.replace("-", "").replace("_", "").isalnum()):
        usage("--token: use letters, digits, - and _")
    if token is None and host not in guard.LOOPBACK:
        token = secrets.token_urlsafe(16)
    app = App("ui", url)
    listener = web.listen(host, port)
    monitor = Monitor(app.open_connection, str(app.server), app_name)
    page = web.Page(monitor, app.open_connection, app=app_name, allow_actions=allow_actions)
    monitor.start()
    address = f"[{host}]" if ":" in host else host
    query = f"?token={token}" if token else ""
    typer.echo(f"http://{address}:{listener.getsockname()[1]}/{query}  (Ctrl-C ends it)", err=True)
    try:
        web.serve(page, listener, token)
    finally:
        monitor.close()
