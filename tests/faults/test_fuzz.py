"""Coverage-guided fuzzing of what reads bytes: cursor, MessagePack, frames, results and lines, under sanitizers.

The C++ tests replay the corpus with any compiler. Here clang searches on from it, in a directory of its own.
`-merge=1 -use_counters=0 -max_len=512 csrc/fuzz/corpus/TARGET DIRECTORY` takes in what it finds.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
SECONDS = int(os.environ.get("TTP_FUZZ_SECONDS", "20"))  # for each
CLANG = shutil.which("clang++")
SANITIZE = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def clang(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A clang that has libFuzzer."""
    if CLANG is None:
        pytest.skip("no clang++ here to fuzz with (Debian: apt install clang libclang-rt-14-dev)")
    empty = tmp_path_factory.mktemp("clang") / "empty.cpp"
    empty.write_text('extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }')
    made = subprocess.run([CLANG, *SANITIZE, empty, "-o", empty.with_suffix("")], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("clang++ here has no libFuzzer (Debian: apt install libclang-rt-14-dev)")
    return CLANG


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("target", ["cursor", "msgpack", "frame", "events", "rows"])
def test_fuzz(clang: str, tmp_path: Path, target: str) -> None:
    program, found = tmp_path / target, tmp_path / "found"
    found.mkdir()
    source = CSRC / "fuzz" / f"fuzz_{target}.cpp"
    build: list[str | Path] = [clang, "-std=c++17", "-g", "-O1", *SANITIZE, f"-I{CSRC}", source, "-o", program]
    subprocess.run(build, check=True)
    search = [f"-max_total_time={SECONDS}", "-max_len=4096", "-print_final_stats=1", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        [program, *search, found, CSRC / "fuzz" / "corpus" / target], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-4000:]
    executed = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    assert executed is not None
    assert int(executed[1]) > len(list((CSRC / "fuzz" / "corpus" / target).iterdir()))  # it went on from there
