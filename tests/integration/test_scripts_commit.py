"""The commit: what it places, what it refuses, and what each of its guards is for."""

from collections.abc import Callable
from typing import Any

import pytest

from real_server import Server
from script_queue import DAY, PRODUCER, Queue, ready
from ttp.coordination import commands, dead_frames
from ttp.coordination.commands import Entry, Placement, Results
from ttp.coordination.connection import ReplyError

pytestmark = pytest.mark.once


class TestCommit:
    def test_only_the_first_commit_counts(self, queue: Queue) -> None:
        entry = queue.deliver()
        assert queue.commit(entry, ready(), done=2) == ("OK", "")
        assert queue.commit(entry, ready(), done=2) == ("FENCED", "")
        assert (queue.stats.done, queue.stats.frames, queue.stats.tasks) == (2, 1, 1)
        assert queue.stats.bytes == len(b"derived")

    def test_without_the_fence_a_second_commit_counts_again(self, queue: Queue) -> None:
        mutant = queue.without("if redis.call('XACK', source, 'g', id) == 0 then", "if false then")
        entry = mutant.deliver()
        for _ in range(2):
            mutant.commit(entry, ready(), done=2)
        assert mutant.stats.done == 4

    def test_the_first_owner_to_commit_wins(self, queue: Queue) -> None:
        entry = queue.deliver("worker-1")
        (claimed,) = queue.claim(entry.stream, "worker-1")
        assert queue.commit(claimed, consumer="worker-2", done=3)[0] == "OK"
        assert queue.commit(entry, done=3)[0] == "FENCED"
        assert queue.stats.done == 3

    def test_an_entry_bears_the_fid_of_its_frame(self, queue: Queue) -> None:
        """So that ids which recur after a failover differ."""
        assert queue.commit(queue.deliver(), ready(fid=2**64 - 1)) == ("OK", "")
        (entry,) = queue.read()
        assert entry.id.endswith(f"-{2**64 - 1}")

    def test_each_placement_goes_where_it_belongs(self, queue: Queue) -> None:
        entry = queue.deliver(tasks=5)
        status, held = queue.commit(
            entry,
            ready(11, priority=2),
            Placement("held", b"held", 12, 1, 1),
            Placement("delayed", b"delayed", 13, 1, 0, due_ms=queue.now_ms + 1000),
            Placement("dead", b"dead", 14, 1, 1, errors=b"why"),
            done=1,
            retried=1,
            dead=1,
        )
        assert status == "OK"
        assert held.endswith("-12")
        assert queue.pending(queue.keys.held, "worker-1") == [held]
        assert [(e.frame, e.stream) for e in queue.read()] == [(b"derived", queue.keys.stream(2))]
        (dead,) = dead_frames.entries(queue.run(dead_frames.page(queue.keys)))
        assert (dead.tasks, dead.frame, dead.errors) == (1, b"dead", b"why")
        assert dead.id.endswith("-14")
        stats = queue.stats
        assert (stats.tasks, stats.bytes, stats.waiting) == (2, len(b"derivedhelddelayeddeadwhy"), 1)
        assert (stats.done, stats.retried, stats.dead, stats.dead_frames, stats.delayed_frames) == (1, 1, 1, 1, 1)
        assert commands.backlog_reply(queue.connection.call_many(commands.backlog(queue.keys))) == 3
        queue.tick(offset_ms=1001)
        assert [(e.frame, e.stream) for e in queue.read()] == [(b"delayed", queue.keys.stream(0))]
        assert queue.stats.waiting == 0
        assert queue.commit(Entry(queue.keys.held, held, 1, b"held"), done=1)[0] == "OK"

    def test_a_held_frame_is_delivered_though_a_stray_one_lies_before_it(self, queue: Queue) -> None:
        queue.connection.call("XADD", queue.keys.held, "1-1", "n", 1, "f", "stray")
        queue.connection.call("HSET", queue.keys.counters, "id", 1)
        _, held = queue.commit(queue.deliver(), Placement("held", b"held", 12, 1, 1))
        assert held in queue.pending(queue.keys.held, "worker-1")

    def test_unless_what_was_delivered_is_compared(self, queue: Queue) -> None:
        mutant = queue.without("until delivered[1][2][1][1] == held", "until true")
        queue.connection.call("XADD", queue.keys.held, "1-1", "n", 1, "f", "stray")
        queue.connection.call("HSET", queue.keys.counters, "id", 1)
        _, held = mutant.commit(mutant.deliver(), Placement("held", b"held", 12, 1, 1))
        assert held not in queue.pending(queue.keys.held, "worker-1")

    @pytest.mark.parametrize(
        "changes",
        [
            {"fid": -1},
            {"fid": 2**64},
            {"tasks": 0},
            {"frame": b""},
            {"kind": "elsewhere"},
            {"kind": "delayed", "due_ms": "soon"},
        ],
    )
    def test_a_bad_placement_leaves_the_entry_as_it_was(self, queue: Queue, changes: dict[str, Any]) -> None:
        entry = queue.deliver()
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.commit(entry, ready(), ready(**changes), done=1)
        assert queue.pending(entry.stream, "worker-1") == [entry.id]
        assert (queue.stats.frames, queue.stats.done) == (1, 0)
        assert queue.commit(entry, done=3)[0] == "OK"

    def test_unless_arguments_are_checked_first(self, queue: Queue) -> None:
        mutant = queue.without("if not sound then", "if false then")
        entry = mutant.deliver()
        with pytest.raises(ReplyError):
            mutant.commit(entry, ready(-1))
        assert mutant.stats.frames == 0, "the tasks are lost"

    @pytest.mark.parametrize("what", ["tasks", "size", "done", "offset_ms"])
    def test_bad_numbers_leave_the_entry_as_it_was(self, queue: Queue, what: str) -> None:
        entry = queue.deliver()
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.commit(entry, **{what: "many"})
        assert queue.pending(entry.stream, "worker-1") == [entry.id]

    def test_two_held_frames_are_refused(self, queue: Queue) -> None:
        entry = queue.deliver()
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.commit(entry, Placement("held", b"a", 1, 1, 1), Placement("held", b"b", 2, 1, 1))
        assert queue.pending(entry.stream, "worker-1") == [entry.id]

    def test_out_of_memory_it_passes(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        entry = queue.deliver(results_ttl_ms=DAY)
        full_memory()
        status, held = queue.commit(
            entry,
            ready(),
            Placement("held", b"held", 12, 1, 1),
            Placement("delayed", b"delayed", 13, 1, 0, due_ms=1),
            results=Results(9, PRODUCER, 1000, b"blocks"),
        )
        assert (status, held[-3:]) == ("OK", "-12")

    def test_unless_the_first_write_may_be_refused(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        fence = "if redis.call('XACK', source, 'g', id) == 0 then"
        mutant = queue.without(fence, f"redis.call('HINCRBY', c, 'done', 0) {fence}")
        entry = mutant.deliver()
        full_memory()
        with pytest.raises(ReplyError, match="OOM"):
            mutant.commit(entry, done=3)

    def test_a_held_frame_needs_its_group_before_anything_is_written(self, queue: Queue) -> None:
        entry = queue.deliver()
        queue.connection.call("XGROUP", "DESTROY", queue.keys.held, "g")
        with pytest.raises(ConnectionError, match="lost the queue"):
            queue.commit(entry, Placement("held", b"held", 12, 1, 1))
        queue.connection.connect()
        assert queue.pending(entry.stream, "worker-1") == [entry.id]

    def test_children_go_to_another_queue(self, queue: Queue) -> None:
        other = Queue(queue.connection, queue.keys.sibling("other"))
        queue.connection.ensure_queue(other.keys)
        due = queue.now_ms + 60_000
        queue.commit(
            queue.deliver(),
            ready(21, queue="other", new=True, results_ttl_ms=DAY, tasks=2),
            Placement("delayed", b"later", 22, 1, 1, due_ms=due, retry=False, queue="other", new=True),
            ready(23, new=True),
            done=3,
        )
        assert [entry.frame for entry in other.read()] == [b"derived"]
        assert other.results(21) == {b"q": b"0", b"r": b"2"}
        assert (other.stats.accepted, other.stats.tasks, other.stats.waiting) == (3, 2, 0)
        assert other.tick()[1] == due
        assert (queue.stats.accepted, queue.stats.tasks) == (4, 1)

    def test_a_commit_promotes_what_is_due(self, queue: Queue) -> None:
        entry = queue.deliver()
        for fid in range(1, 11):
            queue.submit(fid=fid, due_ms=1)
        queue.commit(entry, done=3, promote=False)
        assert queue.stats.delayed_frames == 10
        queue.commit(queue.deliver(), done=3)
        assert queue.stats.delayed_frames == 10 - commands.PROMOTE_ON_COMMIT

    def test_many_cancels_are_served_at_once(self, queue: Queue) -> None:
        origin = 5
        for index in (0, 1, 2):
            queue.run(commands.cancel(queue.keys, origin=origin, index=index))
        many = [f"{origin:016x}.{index}" for index in range(1, 4097)]
        queue.commit(queue.deliver(), cancelled=3, served_cancels=many)
        assert commands.cancels_reply(queue.run(commands.cancels(queue.keys))) == [(origin, 0)]
        assert queue.stats.cancelled == 3


class TestResults:
    def test_results_are_stored_and_announced_once(self, queue: Queue, server: Server) -> None:
        origin = 2**64 - 2
        entry = queue.deliver(fid=origin, results_ttl_ms=DAY)
        listener = server.connect()
        listener.subscribe(queue.keys.channel(PRODUCER))
        for _ in range(2):
            queue.commit(entry, done=3, results=Results(origin, PRODUCER, 1000, b"blocks"))
        assert queue.results(origin) == {b"q": b"0", b"r": b"0", entry.id.encode(): b"blocks"}
        message = listener.read_message(5)
        assert message is not None
        assert commands.announcement(message) == (origin, (entry.id.encode(), b"blocks"))
        assert listener.read_message(0) is None
        assert 0 < queue.connection.call("PTTL", queue.keys.results(origin)) <= 1000
        listener.close()

    def test_tasks_without_an_outcome_keep_the_hash(self, queue: Queue) -> None:
        entry = queue.deliver(fid=9, results_ttl_ms=DAY)
        due = queue.now_ms + DAY
        retry = Placement("delayed", b"retry", 10, 1, 1, due_ms=due)
        queue.commit(entry, retry, done=2, retried=1, results=Results(9, PRODUCER, 1000, b"blocks"))
        assert queue.results(9)[b"r"] == b"1"
        assert 2 * DAY - 60_000 < queue.connection.call("PTTL", queue.keys.results(9)) <= 2 * DAY
        queue.tick(offset_ms=DAY + 1)
        (again,) = queue.read()
        queue.commit(again, done=1, results=Results(9, PRODUCER, 1000, b"last"))
        assert queue.connection.call("PTTL", queue.keys.results(9)) <= 1000

    def test_tasks_that_go_back_keep_the_hash_for_a_day(self, queue: Queue) -> None:
        entry = queue.deliver(fid=9, results_ttl_ms=5000)
        queue.commit(entry, ready(10), done=2, results=Results(9, PRODUCER, 1000, b"blocks"))
        assert DAY - 60_000 < queue.connection.call("PTTL", queue.keys.results(9)) <= DAY

    def test_a_retry_alone_is_no_outcome(self, queue: Queue) -> None:
        entry = queue.deliver(fid=9, tasks=1, results_ttl_ms=DAY)
        retry = Placement("delayed", b"retry", 10, 1, 1, due_ms=1)
        assert queue.commit(entry, retry, retried=1, results=Results(9, PRODUCER, 1000, b"b"))[0] == "OK"
        assert queue.results(9)[b"r"] == b"1"
