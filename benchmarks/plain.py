"""An environment with ttp and what it depends on, as `pip install` leaves it: without the tools of development.

They would be measured too. redis-py imports OpenTelemetry where it finds it, and an editable install has a finder of
its own, which every import goes through.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "plain"


def python() -> Path:
    """Its interpreter; the environment is made where there is none, or another pyproject.toml made it."""
    interpreter, mark, project = FOLDER / "bin" / "python", FOLDER / "pyproject.toml", ROOT / "pyproject.toml"
    if not mark.exists() or mark.read_bytes() != project.read_bytes():
        needs = tomllib.loads(project.read_text())["project"]["dependencies"]
        subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
        pip = [interpreter, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, *needs], check=True)
        mark.write_bytes(project.read_bytes())
    return interpreter


PATH = os.pathsep.join(map(str, (ROOT / "benchmarks", ROOT / "src")))
"""What it is to find beside these: $PYTHONPATH."""
