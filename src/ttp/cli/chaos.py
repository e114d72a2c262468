"""`ttp chaos`: does the promise hold under a fault? Real processes, real servers, and a verdict."""

import signal
import sys
import time
from typing import Annotated

import typer

from ttp.chaos.faults import FAULTS
from ttp.chaos.report import Report
from ttp.chaos.server import NotInjected, choose
from ttp.cli.output import EXIT_TERMINATED, Json, complain, print_json, usage
from ttp.errors import TtpError

EXIT_FAILED = 1
EXIT_NOT_INJECTED = 4


def chaos(
    fault: Annotated[str, typer.Argument(help=f"One of {', '.join(FAULTS)}, or all.")],
    tasks: Annotated[int | None, typer.Option(min=1, help="Tasks at least; default: by the fault.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="How often it happens; default: by the fault.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = 1,
    server: Annotated[str | None, typer.Option(help="Part of the server's name and version, as in redis.")] = None,
    full: Annotated[bool, typer.Option("--full", help="The full counts: an hour for all.")] = False,
    as_json: Json = False,
) -> None:
    """Inject a fault into servers and workers started for it, and compare what was accepted, run and committed.

    Exit codes: 0 nothing lost, nothing doubled, and the fault happened as often as stated; 1 not so; 4 the fault
    could not be injected.
    """
    if fault != "all" and fault not in FAULTS:
        usage(f"no fault is named {fault!r}: {', '.join(FAULTS)}, or all")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))  # all that was started is ended then too
    reports: list[Report] = []
    not_injected = False
    for name in FAULTS if fault == "all" else [fault]:
        begun = time.monotonic()
        default_tasks, default_count = FAULTS[name].full if full else FAULTS[name].short
        try:
            report = FAULTS[name].inject(choose(server), tasks or default_tasks, seed, count or default_count)
        except NotInjected as error:
            complain(f"{name} was not injected: {error}")
            not_injected = True
            continue
        except TtpError as error:
            complain(f"{name}: {error}")
            raise typer.Exit(EXIT_FAILED) from None
        report.took = round(time.monotonic() - begun, 1)
        reports.append(report)
        if not as_json:
            sys.stderr.write(f"{name}: {report.in_short()}\n")
    if as_json:
        print_json([report.as_dict() for report in reports])
    elif reports:
        _show(reports)
    if not all(report.passed for report in reports):
        raise typer.Exit(EXIT_FAILED)
    if not_injected:
        raise typer.Exit(EXIT_NOT_INJECTED)


def _show(reports: list[Report]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    heads = (
        "fault",
        "server",
        "tasks",
        "injected",
        "lost",
        "doubled",
        "fenced",
        "run twice",
        "p50 s",
        "p99 s",
        "took s",
        "seed",
    )
    table = Table(*heads)
    for report in reports:
        quantiles = (report.quantile(0.5), report.quantile(0.99))
        table.add_row(
            report.fault,
            report.server,
            f"{report.tasks:,}",
            f"{report.injected:,} of {report.wanted:,}",
            *(f"{n:,}" for n in (report.lost, report.doubled, report.fenced, report.run_twice)),
            *("" if seconds is None else f"{seconds:.2f}" for seconds in quantiles),
            f"{report.took:,.0f}",
            str(report.seed),
        )
    Console(width=max(120, Console().width)).print(table)
    for report in reports:
        for what, numbers in report.measured.items():
            Console().print(
                f"{report.fault}, {what}: {', '.join(f'{name} {n:,}' for name, n in numbers.items())}", soft_wrap=True
            )
        for problem in report.problems:
            complain(f"{report.fault}: {problem}")
