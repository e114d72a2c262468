"""The benchmark report is made of the committed runs, and two runs are compared by ratio."""

import copy
import importlib
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
PUBLISHED = BENCHMARKS / "results" / "published"

pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no committed run of the benchmarks here")


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, found as its own scripts find it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("report")


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("compare")


def run() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((PUBLISHED / "bench.json").read_text())
    return data


def test_the_committed_pages_are_what_the_committed_runs_give(report: ModuleType) -> None:
    for path, text in report.render().items():
        assert text == (ROOT / path).read_text(), f"{path}: run `make bench-report` and commit what it writes"


def test_a_change_of_a_run_shows_in_the_page(report: ModuleType) -> None:
    first = run()
    second = copy.deepcopy(first)
    second["throughput"]["native"]["rate"] /= 2
    assert report.page(first, None) != report.page(second, None)
    assert report.readme("\n".join(report.MARKS), first) != report.readme("\n".join(report.MARKS), second)


def test_other_machines_stand_beside_this_one(report: ModuleType) -> None:
    other = copy.deepcopy(run())
    other["environment"]["cpu"] = "another processor"
    other["throughput"]["native"]["rate"] = 9_870_000.0
    alone, both = report.page(run(), None), report.page(run(), None, [other])
    assert "another processor" not in alone
    assert "\n2. 2 × another processor" in both
    assert re.search(r"\| no-op tasks by emit, end to end \|[^|]*\|[^|]*\| 9.87 M/s \|", both)


def test_graphs_are_images_for_light_and_dark(report: ModuleType) -> None:
    for name, text in report.graphs(run()).items():
        assert ET.fromstring(text).tag.endswith("svg"), name
        assert "prefers-color-scheme: dark" in text


def test_a_readme_without_marks_is_refused(report: ModuleType) -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        report.readme("# ttp", run())


@pytest.mark.parametrize("path", sorted(PUBLISHED.glob("*.json")), ids=lambda path: path.name)
def test_a_published_run_says_where_it_was_measured_and_names_no_path(path: Path) -> None:
    text = path.read_text()
    environment = json.loads(text)["environment"]
    assert {"at", "cpu", "cores", "system", "python", "packages", "commit", "server"} <= environment.keys()
    assert environment["commit"] != "unknown"
    assert not re.search(r'"[^"]*/(home|root|tmp|work|usr|opt)/', text)


def test_a_run_compared_with_itself_has_not_changed(compare: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(PUBLISHED / "bench.json")
    assert compare.main([path, path]) == 0
    assert re.match(r"\d{2,} numbers: 0 worse, 0 better", capsys.readouterr().out)


def test_what_became_worse_is_named_whichever_way_it_counts(
    compare: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = run()
    new = copy.deepcopy(old)
    new["throughput"]["native"]["rate"] /= 2  # more is better
    new["latency"]["native"][0]["p99"] *= 3  # less is better
    new["columns"]["rate"] *= 4
    paths = []
    for name, data in (("old", old), ("new", new)):
        paths.append(tmp_path / name)
        paths[-1].write_text(json.dumps(data))
    assert compare.main([str(path) for path in paths]) == 1
    said = capsys.readouterr().out
    assert re.search(r"worse +0\.50 .* throughput · native · rate", said)
    assert re.search(r"worse +0\.33 .* latency · native · 1000/s · p99", said)
    assert re.search(r"better +4\.00 .* columns · rate", said)
    assert "2 worse, 1 better" in said
    assert compare.main([*(str(path) for path in paths), "--tolerance", "0.3"]) == 0


def test_runs_that_have_nothing_in_common_are_not_called_equal(compare: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("{}")
    assert compare.main([str(PUBLISHED / "bench.json"), str(tmp_path / "empty")]) == 2
