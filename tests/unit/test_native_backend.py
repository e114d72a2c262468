"""Which twin `ttp.native` takes."""

import ast
import importlib
import importlib.machinery
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ttp.native
from twins import twin

STUB = ast.parse((Path(ttp.native.__file__).parent / "_core.pyi").read_text())


WHICH = "from ttp.native import BACKEND, pack; print(BACKEND, pack.__module__)"


SOURCE = Path(ttp.native.__file__).parent.parent


def python(code: str, backend: str = "", package: Path = SOURCE.parent) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter of its own, where `ttp` is the one in this folder."""
    environment = {"PYTHONPATH": os.pathsep.join([str(package), *sys.path]), "TTP_BACKEND": backend}
    command = [sys.executable, "-S", "-c", code]  # -S: an editable installation would find its own
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def not_built(tmp_path: Path) -> Path:
    """A folder with `ttp` as it is without the extension."""
    shutil.copytree(SOURCE, tmp_path / "ttp", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    return tmp_path


@pytest.fixture
def broken(not_built: Path) -> Path:
    """One with an extension that cannot be loaded."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (not_built / "ttp" / "native" / f"_core{suffix}").write_bytes(b"no library")
    return not_built


def test_each_can_be_forced(backend: Any) -> None:
    run = python(WHICH, backend.BACKEND)
    module = "ttp.native._core" if backend.BACKEND == "native" else "ttp.native._pure.codec"
    assert run.stdout.split() == [backend.BACKEND, module], run.stderr


def test_the_native_one_is_the_default() -> None:
    twin("native")
    assert python(WHICH).stdout.startswith("native ")


def test_the_twin_steps_in_where_the_extension_was_not_built(not_built: Path) -> None:
    run = python(WHICH, package=not_built)
    assert run.stdout.startswith("python "), run.stderr


def test_forced_and_missing_says_what_to_do(not_built: Path) -> None:
    run = python(WHICH, "native", not_built)
    assert run.returncode != 0
    assert "ImportError: TTP_BACKEND=native, but the extension cannot be imported" in run.stderr
    assert "install a wheel, or build it" in run.stderr


@pytest.mark.parametrize("wanted", ["", "native"])
def test_a_broken_extension_is_not_hidden(broken: Path, wanted: str) -> None:
    run = python(WHICH, wanted, broken)
    assert run.returncode != 0
    assert "ImportError" in run.stderr
    assert f"_core{importlib.machinery.EXTENSION_SUFFIXES[0]}" in run.stderr  # the loader's reason names the file


def test_a_broken_extension_does_not_matter_where_the_twin_is_forced(broken: Path) -> None:
    assert python(WHICH, "python", broken).stdout.startswith("python ")


def test_nonsense_is_refused() -> None:
    run = python(WHICH, "rust")
    assert "ImportError: TTP_BACKEND is 'rust': use native or python" in run.stderr


def declared() -> dict[str, ast.stmt]:
    """The public names of the stub."""
    names: dict[str, ast.stmt] = {}
    for node in STUB.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return names


def test_every_declared_name_is_exported() -> None:
    assert sorted(ttp.native.__all__) == sorted(declared())
    assert len(set(ttp.native.__all__)) == len(ttp.native.__all__)
    for name in ttp.native.__all__:
        assert hasattr(ttp.native, name)


def test_the_twins_have_what_the_stub_declares(backend: Any) -> None:
    for name, node in declared().items():
        found = getattr(backend, name)
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            assert found == ast.literal_eval(node.value)
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert hasattr(found, member.name) or "property" in ast.dump(member), (name, member.name)


def test_the_pure_twin_takes_the_parameters_that_the_stub_declares() -> None:
    pure = importlib.import_module("ttp.native._pure")
    for name, node in declared().items():
        methods = [node] if isinstance(node, ast.FunctionDef) else getattr(node, "body", [])
        for method in methods:
            if not isinstance(method, ast.FunctionDef) or method.decorator_list or name == "FrameWriter":
                continue
            owner = pure if method is node else getattr(pure, name)
            parameters = inspect.signature(getattr(owner, method.name)).parameters
            arguments = method.args
            expected = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            variadic = [a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None]
            assert set(parameters) == {*expected, *variadic}, f"{name}.{method.name}"
