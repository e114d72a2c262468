"""A journal on disk: whatever dies in the midst of writing, each whole frame is there once and in order."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttp.native import encode_frame, encode_row
from ttp.producer.journal import Journal
from ttp.producer.records import HEAD, encode, scan

SEGMENT = 1000  # bytes: a few frames


def frame(fid: int) -> bytes:
    return encode_frame([encode_row([fid])] * (1 + fid % 3), name="t", queue="q", fid=fid, producer=bytes(12))


def opened(folder: Path, segment_bytes: int = SEGMENT) -> Journal:
    return Journal(folder, segment_bytes=segment_bytes, fsync="never")


def rest(journal: Journal) -> list[int]:
    """The fids that are left, read to the end; each loads as it was written."""
    fids = []
    while (record := journal.read()) is not None:
        assert journal.load(record) == frame(record.fid)
        fids.append(record.fid)
    return fids


def test_it_is_cut_at_every_byte(tmp_path: Path) -> None:
    """A process dies after each byte of three frames: whole ones stay, and the next goes behind them."""
    whole = b"".join(encode(frame(fid), 0.0) for fid in (1, 2, 3))
    ends = [HEAD + len(frame(1)), 2 * HEAD + len(frame(1)) + len(frame(2)), len(whole)]
    folder = tmp_path / "q.1"
    folder.mkdir()
    for size in range(len(whole) + 1):
        for old in folder.iterdir():
            old.unlink()
        (folder / "00000001.journal").write_bytes(whole[:size])
        journal = opened(folder)
        expected = [fid for fid, end in zip((1, 2, 3), ends, strict=True) if end <= size]
        assert journal.frames == len(expected)
        journal.append(frame(4))
        journal.close()
        assert rest(opened(folder)) == [*expected, 4], size
        assert not list(folder.glob("*.damaged"))


STEPS = st.lists(st.sampled_from(["append", "append", "append", "read", "remove", "reopen"]), max_size=60)


@given(STEPS)
def test_first_in_first_out_over_segments_and_restarts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("journal") / "q.1"
    journal, waiting, reads, fid = opened(folder), list[int](), list[int](), 0
    removable = []
    for step in steps:
        if step == "append":
            fid += 1
            journal.append(frame(fid))
            waiting.append(fid)
        elif step == "read" and (record := journal.read()) is not None:
            assert record.fid == waiting[len(reads)]
            reads.append(record.fid)
            removable.append(record)
        elif step == "remove" and removable:
            journal.remove(removable.pop(0))
            waiting.pop(0)
            reads.pop(0)
        elif step == "reopen":
            journal.close()
            journal = opened(folder)
            found = rest(opened(folder))
            # Files go as a whole, so frames that are done with may be there again; never one too few.
            assert found[len(found) - len(waiting) :] == waiting
            for _ in range(len(found) - len(waiting)):
                record = journal.read()
                assert record is not None
                journal.remove(record)
            reads, removable = [], []
        assert (journal.frames, journal.unread) == (len(waiting), len(waiting) - len(reads))
        assert journal.tasks == sum(1 + n % 3 for n in waiting)
        assert journal.size == sum(file.stat().st_size for file in folder.glob("*.journal"))
    assert rest(journal) == waiting[len(reads) :]


def test_damage_in_the_middle_is_reported_kept_aside_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "q.1"
    journal = opened(folder)
    for fid in range(1, 13):
        journal.append(frame(fid))
    journal.close()
    segments = sorted(folder.glob("*.journal"))
    assert len(segments) > 2
    broken = segments[1]
    data = bytearray(broken.read_bytes())
    (hit, *others), _ = scan(bytes(data), 2)
    data[hit.offset + 70] ^= 1
    broken.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        left = rest(opened(folder))
    assert left == [fid for fid in range(1, 13) if fid != hit.fid]
    assert others
    assert "is damaged" in caplog.text
    assert broken.with_suffix(".damaged").read_bytes() == data
    caplog.clear()
    assert rest(opened(folder)) == left
    assert not caplog.text


def test_damage_while_it_runs_is_passed_over_too(tmp_path: Path) -> None:
    folder = tmp_path / "q.1"
    journal = opened(folder)
    for fid in range(1, 13):
        journal.append(frame(fid))
    second = sorted(folder.glob("*.journal"))[1]
    first_of_it = scan(second.read_bytes(), 2)[0][0]
    second.write_bytes(second.read_bytes()[first_of_it.end :])
    left = [fid for fid in range(1, 13) if fid != first_of_it.fid]
    assert rest(journal) == left
    assert (journal.frames, journal.tasks) == (len(left), sum(1 + n % 3 for n in left))


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path / "q.1")
    journal.append(frame(1))
    write = os.write

    def short(file: int, data: bytes) -> int:
        if len(data) > 10:
            return write(file, data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda file, data: short(file, data[:15]) if len(data) > 50 else short(file, b"x"))
        with pytest.raises(OSError, match="No space"):
            journal.append(frame(2))
    journal.append(frame(3))
    assert rest(journal) == [1, 3]
    journal.close()
    assert rest(opened(tmp_path / "q.1")) == [1, 3]


def test_what_was_accepted_before_is_passed_over(tmp_path: Path) -> None:
    journal = opened(tmp_path / "q.1")
    for fid in range(1, 9):
        journal.append(frame(fid))
    assert journal.skip_through(99) == 0
    assert journal.skip_through(6) == 6
    assert rest(journal) == [7, 8]


@pytest.mark.parametrize(("fsync", "synced"), [("always", [1, 1, 1]), ("everysec", [0, 0, 1]), ("never", [0, 0, 0])])
def test_the_policy_says_when_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: str, synced: list[int]
) -> None:
    now = 0.0
    journal = Journal(tmp_path / "q.1", segment_bytes=1 << 20, fsync=fsync, monotonic=lambda: now)  # type: ignore[arg-type]
    journal.append(frame(1))
    counted = 0

    def count(_: int) -> None:
        nonlocal counted
        counted += 1

    monkeypatch.setattr(os, "fsync", count)
    seen = []
    for n in (1, 2, 3):
        counted, now = 0, n * 0.4
        journal.append(frame(n))
        journal.sync_due()
        seen.append(counted)
    assert seen == synced
