"""The public surface is typed: right calls pass, wrong ones do not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

HERE = Path(__file__).parent
SAMPLES = sorted(path.name for path in HERE.glob("samples*.py"))
SOURCE = HERE.parents[1] / "src"
MISTAKES = [n for n, line in enumerate((HERE / "mistakes.py").read_text().splitlines(), 1) if "# MISTAKE" in line]


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a checker beside the samples, on this source."""
    return subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        cwd=HERE,
        env=os.environ | {"MYPYPATH": str(SOURCE), "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.parametrize(
    ("tool", "options"), [("mypy", ["--strict", "--config-file=", "--follow-imports=silent"]), ("pyright", [])]
)
def test_samples_pass_and_mistakes_do_not(tool: str, options: list[str]) -> None:
    if (version := run(tool, "--version")).returncode:
        # pyright needs node, or to download it.
        pytest.skip(f"{tool} cannot run here: {version.stderr.strip().splitlines()[-1:]}")
    done = run(tool, *options, *SAMPLES, "mistakes.py")
    output = done.stdout + done.stderr
    found = set(map(int, re.findall(r"mistakes\.py:(\d+):(?:\d+ -)? error", output)))
    assert not re.findall(r".*samples\w*\.py.* error.*", output), output
    assert sorted(found) == MISTAKES, output


def test_everything_public_is_there_and_has_a_sample() -> None:
    import ttp  # noqa: PLC0415

    samples = "".join((HERE / name).read_text() for name in SAMPLES)
    assert [name for name in ttp.__all__ if not re.search(rf"\bttp\.{name}\b", samples)] == []
    assert all(hasattr(ttp, name) for name in ttp.__all__)
    assert sorted(ttp.__all__) == ttp.__all__
    with pytest.raises(AttributeError, match="no attribute"):
        ttp.nonsense  # noqa: B018
