"""The mutants' table stays in step with the source: each guard is there once, and each test exists."""

import pytest
from mutant import Mutant
from mutant_list import MUTANTS
from mutants import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.file}: {m.guard[:40]}")
def test_guard_and_test_are_there(mutant: Mutant) -> None:
    assert (ROOT / "src" / "ttp" / mutant.file).read_text().count(mutant.guard) == 1
    file, *names = mutant.test.split("::")
    text = (ROOT / file).read_text()
    assert f"def {names[-1]}(" in text
    assert len({(m.file, m.guard, m.test) for m in MUTANTS}) == len(MUTANTS)
