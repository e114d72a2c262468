"""Each script by itself, and each guard: a test that fails where the guard is taken out."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from real_server import Server
from script_queue import DAY, FRAME, PRODUCER, Queue, ready
from ttp.coordination import commands, dead_frames
from ttp.coordination.commands import Placement, Results
from ttp.coordination.connection import ReplyError
from ttp.errors import ServerRefused

pytestmark = pytest.mark.once


class TestSubmit:
    def test_a_chain_continues_and_nothing_else_is_accepted(self, queue: Queue) -> None:
        assert queue.submit(fid=7) == ("OK", 7)
        assert queue.submit(fid=8, prev=7) == ("OK", 8)
        assert queue.submit(fid=8, prev=7) == ("NO", 8), "a duplicate"
        assert queue.submit(fid=10, prev=9) == ("NO", 8), "a gap"
        assert queue.submit(fid=9, prev=None) == ("NO", 8), "a beginning"
        assert queue.submit(fid=9, prev=5, chain="other") == ("NO", None), "a chain the server does not know"
        assert queue.stats.frames == 2

    def test_without_the_chain_a_duplicate_is_stored_twice(self, queue: Queue) -> None:
        mutant = queue.without("if last ~= ARGV[1] then return {'NO', last} end")
        for _ in range(2):
            mutant.submit(fid=7, prev=None)
        assert mutant.stats.frames == 2

    def test_ids_are_exact_beyond_what_a_double_holds(self, queue: Queue) -> None:
        fid = 2**64 - 1
        queue.connection.call("HSET", queue.keys.counters, "id", 10**15)
        assert queue.submit(fid=fid) == ("OK", fid)
        (entry,) = queue.read()
        assert entry.id == f"{10**15 + 1}-{fid}"
        assert entry.tasks == 3
        assert entry.frame == FRAME

    def test_over_the_limit_is_full_and_changes_nothing(self, queue: Queue) -> None:
        assert queue.submit(fid=7, limit=len(FRAME)) == ("OK", 7)
        before = queue.stats
        assert queue.submit(fid=8, limit=2 * len(FRAME) - 1) == ("FULL", 7)
        assert queue.stats == before
        assert queue.submit(fid=8, limit=2 * len(FRAME)) == ("OK", 8)

    def test_out_of_memory_is_full_and_changes_nothing(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        queue.submit(fid=7)
        before = queue.stats
        full_memory()
        assert queue.submit(fid=8) == ("FULL", 7)
        assert queue.submit(fid=8, due_ms=1) == ("FULL", 7)
        assert queue.stats == before

    def test_scheduled_frames_wait(self, queue: Queue) -> None:
        due = queue.now_ms + 60_000
        assert queue.submit(fid=7, due_ms=due, results_ttl_ms=DAY) == ("OK", 7)
        assert queue.read() == []
        assert queue.tick()[1] == due
        assert queue.results(7) == {b"q": str(due).encode(), b"r": b"3"}
        assert DAY + 50_000 < queue.connection.call("PTTL", queue.keys.results(7)) <= DAY + 60_000
        assert queue.stats.tasks == 0
        assert commands.backlog_reply(queue.connection.call_many(commands.backlog(queue.keys))) == 0
        assert queue.tick(offset_ms=60_001)[1] is None
        assert [entry.frame for entry in queue.read()] == [FRAME]
        assert (queue.stats.tasks, queue.stats.bytes, queue.stats.delayed_frames) == (3, len(FRAME), 0)

    @pytest.mark.parametrize("changes", [{"frame": b""}, {"tasks": 0}, {"limit": "x"}, {"due_ms": "x"}])
    def test_bad_arguments_change_nothing(self, queue: Queue, changes: dict[str, Any]) -> None:
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.submit(**changes)
        assert queue.stats.accepted == queue.stats.frames == 0


class TestResume:
    def resume(self, queue: Queue) -> tuple[int | None, int, int]:
        return commands.resume_reply(queue.run(commands.resume(queue.keys, 1, "c")))

    def test_a_successor_hears_where_the_chain_stands(self, queue: Queue) -> None:
        last, position, owner = self.resume(queue)
        assert (last, position) == (None, 0)
        assert queue.submit(fid=7, owner=owner) == ("OK", 7)
        assert queue.submit(fid=8, owner=owner) == ("OK", 8)
        assert queue.submit(fid=8, prev=7, owner=owner) == ("NO", 8), "a duplicate"
        last, position, successor = self.resume(queue)
        assert (last, position) == (8, 6)
        assert successor > owner
        assert queue.submit(fid=9, prev=8, owner=successor) == ("OK", 9)
        assert self.resume(queue)[:2] == (9, 9)

    def test_what_an_earlier_owner_sends_is_fenced(self, queue: Queue) -> None:
        *_, owner = self.resume(queue)
        *_, successor = self.resume(queue)
        assert queue.submit(fid=7, owner=owner) == ("FENCED", successor)
        assert queue.stats.frames == 0

    def test_a_server_that_has_lost_the_owner_says_so(self, queue: Queue) -> None:
        *_, owner = self.resume(queue)
        queue.connection.call("DEL", queue.keys.chain(1, "c"))
        assert queue.submit(fid=7, owner=owner) == ("FENCED", None)

    def test_owners_rise_whatever_the_clock_says(self, queue: Queue) -> None:
        ahead = 9 * 10**15
        queue.connection.call("SET", queue.keys.chain(1, "c"), f"7 3 {ahead}")
        assert self.resume(queue) == (7, 3, ahead + 1)


class TestTick:
    def test_it_beats_and_promotes_out_of_memory(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        for fid in range(1, 71):
            queue.submit(fid=fid, due_ms=fid)
        full_memory()
        assert queue.tick() == (1, 65)
        assert queue.tick() == (2, None)
        assert (queue.stats.frames, queue.stats.delayed_frames, queue.stats.tasks) == (70, 0, 210)

    def test_unless_its_first_write_may_be_refused(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        mutant = queue.without("redis.call('HDEL', KEYS[1], '')")
        full_memory()
        with pytest.raises(ReplyError, match="OOM"):
            mutant.tick()


class TestClaim:
    @pytest.mark.parametrize("crashed", [True, False])
    def test_deliveries_rise_only_where_the_worker_crashed(self, queue: Queue, crashed: bool) -> None:
        entry = queue.deliver("worker-1")
        for times in range(1, 4):
            (claimed,) = queue.claim(entry.stream, "worker-1", "worker-1", crashed=crashed)
            assert (claimed.id, claimed.frame, claimed.tasks) == (entry.id, FRAME, 3)
            assert claimed.deliveries == 1 + times * crashed
        reply = queue.run(commands.pending(entry.stream, "worker-1"))
        assert commands.pending_deliveries(reply) == {entry.id: 1 + 3 * crashed}

    def test_unless_the_count_is_given(self, queue: Queue) -> None:
        mutant = queue.without(", 'RETRYCOUNT', deliveries)", ")")
        entry = mutant.deliver("worker-1")
        mutant.claim(entry.stream, "worker-1", "worker-1", crashed=False)
        reply = queue.run(commands.pending(entry.stream, "worker-1"))
        assert commands.pending_deliveries(reply) == {entry.id: 2}

    def test_a_worker_that_has_beaten_since_it_was_judged_keeps_its_own(self, queue: Queue) -> None:
        entry = queue.deliver("worker-1")
        beat, _ = queue.tick()
        assert queue.claim(entry.stream, "worker-1", beat=beat - 1) == []
        assert queue.pending(entry.stream, "worker-1") == [entry.id]
        assert [claimed.id for claimed in queue.claim(entry.stream, "worker-1", beat=beat)] == [entry.id]

    def test_a_worker_that_never_beat_is_judged_by_that(self, queue: Queue) -> None:
        entry = queue.deliver("worker-1")
        assert queue.claim(entry.stream, "worker-1", beat=1) == []
        assert [claimed.id for claimed in queue.claim(entry.stream, "worker-1", beat=0)] == [entry.id]

    def test_out_of_memory_it_passes(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        entry = queue.deliver("worker-1")
        full_memory()
        assert [claimed.id for claimed in queue.claim(entry.stream, "worker-1")] == [entry.id]
        assert queue.claim(entry.stream, "worker-1") == []
        assert commands.beats_reply(queue.run(commands.beats(queue.keys))) == {"worker-2": 0}

    def test_an_entry_that_somebody_deleted_is_passed_over(self, queue: Queue) -> None:
        entry = queue.deliver("worker-1")
        queue.connection.call("XDEL", entry.stream, entry.id)
        assert queue.claim(entry.stream, "worker-1") == []
        assert queue.pending(entry.stream, "worker-1") == queue.pending(entry.stream, "worker-2") == []

    def test_a_consumer_is_forgotten_only_when_it_has_nothing_anywhere(self, queue: Queue) -> None:
        self._leave_something_low(queue)
        assert queue.claim(queue.keys.stream(0), "worker-1") == []
        assert commands.beats_reply(queue.run(commands.beats(queue.keys))) == {"worker-1": 1}
        assert len(queue.claim(queue.keys.stream(2), "worker-1")) == 1
        assert queue.claim(queue.keys.stream(2), "worker-1") == []
        assert commands.beats_reply(queue.run(commands.beats(queue.keys))) == {"worker-2": 0}

    def test_unless_all_streams_are_looked_at(self, queue: Queue) -> None:
        mutant = queue.without("if #redis.call('XPENDING', KEYS[i], 'g', '-', '+', 1, from) > 0 then return out end")
        self._leave_something_low(mutant)
        mutant.claim(queue.keys.stream(0), "worker-1")
        assert queue.pending(queue.keys.stream(2), "worker-1") == [], "nobody will ever find this entry"

    def _leave_something_low(self, queue: Queue) -> None:
        queue.tick()
        queue.deliver("worker-1", priority=2)


class TestBury:
    def _dead(self, queue: Queue) -> str:
        queue.commit(queue.deliver(), Placement("dead", b"dead", 14, 2, 1, errors=b"why"), dead=2)
        (dead,) = dead_frames.entries(queue.run(dead_frames.page(queue.keys)))
        return dead.id

    def _bury(self, queue: Queue, entry_id: str) -> tuple[str, str]:
        rest = bytes(16) + (77).to_bytes(8, "little") + b"rest"
        return dead_frames.bury_reply(
            queue.run(
                dead_frames.bury(
                    queue.keys,
                    entry_id=entry_id,
                    rest=rest,
                    rest_tasks=1,
                    rest_errors=b"still",
                    revive=b"revived",
                    revive_fid=78,
                    revive_tasks=1,
                    priority=0,
                )
            )
        )

    def test_one_is_revived_and_the_rest_stays_dead(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        entry_id = self._dead(queue)
        full_memory()
        status, rest_id = self._bury(queue, entry_id)
        assert (status, rest_id[-3:]) == ("OK", "-77")
        assert self._bury(queue, entry_id) == ("GONE", "")
        page = dead_frames.entries(queue.run(dead_frames.page(queue.keys)))
        assert [(dead.id, dead.tasks, dead.errors) for dead in page] == [(rest_id, 1, b"still")]
        assert dead_frames.entries(queue.run(dead_frames.page(queue.keys, after=rest_id))) == []
        assert [(entry.stream, entry.frame) for entry in queue.read()] == [(queue.keys.stream(0), b"revived")]
        assert (queue.stats.tasks, queue.stats.bytes) == (1, len(b"revived" + bytes(24) + b"rest" + b"still"))
        drop = dead_frames.bury(queue.keys, entry_id=rest_id)
        assert dead_frames.bury_reply(queue.run(drop)) == ("OK", "")
        assert (queue.stats.dead_frames, queue.stats.bytes) == (0, len(b"revived"))
        assert queue.connection.call("HGET", queue.keys.counters, "parked") == b"0"

    def test_without_the_look_whether_it_is_there_it_is_revived_twice(self, queue: Queue) -> None:
        mutant = queue.without("if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return {'GONE', ''} end")
        entry_id = self._dead(mutant)
        for _ in range(2):
            self._bury(mutant, entry_id)
        assert len(mutant.read()) == 2


class TestCancel:
    def test_requests_outlast_what_is_delayed(self, queue: Queue) -> None:
        queue.run(commands.cancel(queue.keys, origin=2**64 - 1, index=4095))
        assert queue.run(commands.cancels_count(queue.keys)) == 1
        assert commands.cancels_reply(queue.run(commands.cancels(queue.keys))) == [(2**64 - 1, 4095)]
        assert queue.connection.call("PTTL", queue.keys.cancels) <= DAY
        queue.submit(due_ms=queue.now_ms + 3 * DAY)
        queue.run(commands.cancel(queue.keys, origin=1, index=0))
        assert queue.connection.call("PTTL", queue.keys.cancels) > 4 * DAY - 60_000

    def test_out_of_memory_is_refused(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        full_memory()
        with pytest.raises(ServerRefused, match="OOM"):
            queue.run(commands.cancel(queue.keys, origin=1, index=0))


def test_scripts_touch_declared_keys_only(queue: Queue, server: Server) -> None:
    other = queue.keys.sibling("other")
    queue.connection.ensure_queue(other)
    with redis.Redis(unix_socket_path=str(server.socket)) as watcher, watcher.monitor() as monitor:
        entry = queue.deliver(results_ttl_ms=DAY)
        queue.submit(due_ms=1, results_ttl_ms=DAY)
        status, _ = queue.commit(
            entry,
            ready(queue="other", results_ttl_ms=DAY),
            Placement("held", b"held", 12, 1, 1),
            Placement("delayed", b"later", 22, 1, 1, due_ms=5, queue="other"),
            Placement("dead", b"dead", 14, 1, 1),
            done=1,
            served_cancels=["00.1"],
            results=Results(int(entry.id.split("-")[1]), PRODUCER, 1000, b"blocks"),
        )
        queue.tick()
        queue.claim(queue.keys.held, "worker-1")
        queue.claim(queue.keys.held, "worker-1")
        (dead,) = dead_frames.entries(queue.run(dead_frames.page(queue.keys)))
        queue.run(dead_frames.bury(queue.keys, entry_id=dead.id, revive=b"revived", revive_fid=1, revive_tasks=1))
        queue.run(commands.cancel(queue.keys, origin=1, index=0))
        queue.run(commands.beats(queue.keys))
        queue.connection.call("PING", "end")
        touched: set[str] = set()
        declared: set[str] = set()
        scripts = 0
        for event in monitor.listen():
            words = event["command"].split(" ")
            names = {word for word in words if word.startswith("ttp:{")}
            if words == ["PING", "end"]:
                break
            if words[0] == "EVALSHA":
                scripts += 1
                declared = names
            elif event["client_type"] == "lua":
                touched |= names
                assert words[0].upper() == "PUBLISH" or names <= declared, words
    assert (status, scripts) == ("OK", 9)
    assert len(touched) > 15
    # One hash tag for all of them: they live in one slot of a cluster.
    assert {name[: name.index("}") + 1] for name in touched} == {"ttp:{plant.0}"}
