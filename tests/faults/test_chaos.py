"""`ttp chaos`: each fault once in its short form, on real servers; those of the server on every server here."""

import json
import subprocess
import sys

import pytest

from real_server import BINARIES
from ttp.chaos.faults import FAULTS
from ttp.chaos.report import Report

OF_THE_SERVER = ("restart-server", "failover", "clock", "oom", "disk-full")
NOT_INJECTED = 4

CASES = [(fault, str(BINARIES[0])) for fault in FAULTS]
CASES += [(fault, str(binary)) for binary in BINARIES[1:] for fault in OF_THE_SERVER]


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ttp", "chaos", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "server"), CASES)
def test_nothing_is_lost_or_doubled(fault: str, server: str) -> None:
    done = chaos(fault, "--server", server, "--seed", "7", "--json")
    if done.returncode == NOT_INJECTED and "is missing" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(done.stdout)
    assert (report["lost"], report["doubled"], report["problems"]) == (0, 0, [])
    assert report["injected"] >= report["wanted"] > 0
    assert report["server"] == server


def test_a_fault_that_cannot_be_injected_is_no_success() -> None:
    done = chaos("oom", "--server", "no-such-server")
    assert done.returncode == NOT_INJECTED
    assert "oom was not injected: no such server program" in done.stderr


def test_an_unknown_fault_is_a_mistake_of_the_caller() -> None:
    done = chaos("earthquake")
    assert done.returncode == 2
    assert "kill-worker" in done.stderr


@pytest.mark.parametrize(
    "wrong", [{"lost": 1}, {"doubled": 1}, {"injected": 2}, {"wanted": 0, "injected": 0}, {"problems": ["a"]}]
)
def test_a_run_passes_only_if_nothing_is_wrong(wrong: dict[str, object]) -> None:
    sound = {"fault": "cut", "server": "valkey", "tasks": 10, "seed": 1, "wanted": 3, "injected": 3}
    assert Report(**sound).passed  # type: ignore[arg-type]
    assert not Report(**(sound | wrong)).passed  # type: ignore[arg-type]
