"""The public surface is typed: right calls pass, wrong ones do not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
MISTAKES = [n for n, line in enumerate((HERE / "mistakes.py").read_text().splitlines(), 1) if "# MISTAKE" in line]


def check(tool: str, *options: str) -> str:
    """Run a checker over the samples."""
    command = [sys.executable, "-m", tool, *options, "samples.py", "mistakes.py"]
    done = subprocess.run(
        command, cwd=HERE, env=_environment(), capture_output=True, text=True, timeout=110, check=False
    )
    if f"No module named {tool}" in done.stderr:
        pytest.skip(f"{tool} is not installed (make test installs it)")
    return done.stdout + done.stderr


def _environment() -> dict[str, str]:
    import os  # noqa: PLC0415

    return os.environ | {"MYPYPATH": str(SOURCE), "PYTHONPATH": str(SOURCE)}


@pytest.mark.parametrize(
    ("tool", "options"), [("mypy", ["--strict", "--config-file=", "--follow-imports=silent"]), ("pyright", [])]
)
def test_samples_pass_and_mistakes_do_not(tool: str, options: list[str]) -> None:
    output = check(tool, *options)
    found = set(map(int, re.findall(r"mistakes\.py:(\d+):(?:\d+ -)? error", output)))
    assert not re.findall(r".*samples\.py.* error.*", output), output
    assert sorted(found) == MISTAKES, output


def test_everything_public_is_there() -> None:
    import ttp  # noqa: PLC0415

    assert all(hasattr(ttp, name) for name in ttp.__all__)
    assert sorted(ttp.__all__) == ttp.__all__
    with pytest.raises(AttributeError, match="no attribute"):
        ttp.nonsense  # noqa: B018
