"""`make mutants`: takes out each guard of the scripts and of the client in turn, and shows which test notices.

A mutant is a copy of the shipped source with one text replaced. It is killed by its named test failing on it,
while that test passes on an unchanged copy. Exits with 1 if any mutant survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutant import Mutant
from mutant_list import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
AT_A_TIME = 2

# For each process of the tests: an editable install has a finder of its own, which comes before PYTHONPATH.
CUSTOMIZE = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__]
"""

LAUNCH = """
import sys
import ttp
if not ttp.__file__.startswith(sys.argv[1]):
    sys.exit(f"not the copy is tested, but {ttp.__file__}")
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


def copy(directory: Path, mutant: Mutant | None) -> Path:
    """A copy of the source, with the mutant's guard replaced. ValueError unless its text is there exactly once."""
    source = directory / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "sitecustomize.py").write_text(CUSTOMIZE)
    if mutant is not None:
        file = source / "ttp" / mutant.file
        text = file.read_text()
        if text.count(mutant.guard) != 1:
            raise ValueError(f"{mutant.file} has {mutant.guard!r} {text.count(mutant.guard)} times, not once")
        file.write_text(text.replace(mutant.guard, mutant.instead))
    return source


def run(mutant: Mutant | None, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """The tests on a copy of the source."""
    with tempfile.TemporaryDirectory(prefix="ttp-mutant-") as directory:
        source = copy(Path(directory), mutant)
        environment = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", LAUNCH, str(source), "-x", "-q", "-p", "no:cacheprovider", *tests]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def verdict(done: subprocess.CompletedProcess[str]) -> str:
    """Killed only if a test ran and failed: neither a typing error nor a missing test counts."""
    if done.returncode == 0:
        return "SURVIVED"
    return "killed" if done.returncode == 1 and "failed" in done.stdout else f"not run: {done.stdout[-500:]}"


def main() -> int:
    """Print the table of all mutants."""
    clean = run(None, sorted({mutant.test for mutant in MUTANTS}))
    if clean.returncode != 0:
        sys.stderr.write(f"the tests fail without a mutant:\n{clean.stdout[-3000:]}\n")
        return 1
    sys.stdout.write("| file | guard | verdict | test |\n| --- | --- | --- | --- |\n")
    left = 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for mutant, done in zip(MUTANTS, pool.map(lambda m: run(m, [m.test]), MUTANTS), strict=True):
            said = verdict(done)
            left += said != "killed"
            guard = " ".join(mutant.guard.split()).replace("|", "\\|")
            guard = guard if len(guard) <= 60 else guard[:57] + "…"
            sys.stdout.write(f"| {mutant.file} | `{guard}` | {said} | {mutant.test.rpartition('::')[2]} |\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(MUTANTS)} mutants, {left} left alive\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
