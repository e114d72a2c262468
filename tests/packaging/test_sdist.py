"""The sdist installs with a compiler, without one, and refuses where the native core is required and cannot be."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import ttp

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
NO_COMPILER = {"CC": "/nonexistent/cc", "CXX": "/nonexistent/c++"}


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TTP_", "PYTHON", "VIRTUAL_"))}
    return subprocess.run(
        command, env=clean | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the tree as it is."""
    folder = tmp_path_factory.mktemp("sdist")
    built = _run(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    (archive,) = folder.iterdir()
    return archive


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of a new virtual environment; dependencies are those that this one has."""
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def _install(python: Path, sdist: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return _run(python, "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--verbose", sdist, **environment)


def _backend(python: Path) -> str:
    answer = _run(python, "-c", "from ttp.native import BACKEND; print(BACKEND)")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_native_where_there_is_a_compiler(python: Path, sdist: Path) -> None:
    installed = _install(python, sdist, TTP_REQUIRE_NATIVE="1")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert _backend(python) == "native"


def test_pure_python_without_a_compiler(python: Path, sdist: Path) -> None:
    installed = _install(python, sdist, **NO_COMPILER)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "ttp was installed as pure Python" in installed.stdout + installed.stderr
    assert _backend(python) == "python"
    versions = _run(python, "-c", "import ttp, importlib.metadata as m; print(m.version('ttp'), ttp.__version__)")
    assert versions.stdout.split() == [ttp.__version__] * 2


def test_refuses_without_a_compiler_where_native_is_required(python: Path, sdist: Path) -> None:
    installed = _install(python, sdist, TTP_REQUIRE_NATIVE="1", **NO_COMPILER)
    assert installed.returncode != 0
    assert "CMake" in installed.stdout + installed.stderr
    assert _run(python, "-c", "import ttp").returncode != 0
