"""The mutants: what is taken out of the shipped source, and the test that notices."""

import mutants_memory
from mutant import Mutant

_LUA = "coordination/scripts/"
_SUBMIT = "tests/integration/test_scripts.py::TestSubmit::"
_TICK = "tests/integration/test_scripts.py::TestTick::"
_CLAIM = "tests/integration/test_scripts.py::TestClaim::"
_BURY = "tests/integration/test_scripts.py::TestBury::"
_COMMIT = "tests/integration/test_scripts_commit.py::TestCommit::"
_RESULTS = "tests/integration/test_scripts_commit.py::TestResults::"
_RESUME = "tests/integration/test_scripts.py::TestResume::"
_CHAIN = "tests/unit/test_chain.py::"
_WINDOW = "tests/unit/test_window.py::"
_STORED = "tests/unit/test_stored_chain.py::"
_JOURNAL = "tests/unit/test_journal.py::"
_OBSERVER = "tests/unit/test_observer.py::"
_DRAFT = "tests/unit/test_draft.py::"
_STOP = "tests/integration/test_stop_in_outage.py::"

MUTANTS = [
    Mutant(
        _LUA + "submit.lua",
        "if last ~= ARGV[1] then return {'NO', last} end",
        "",
        _SUBMIT + "test_a_chain_continues_and_nothing_else_is_accepted",
    ),
    Mutant(
        _LUA + "submit.lua",
        "if tonumber(redis.call('HGET', c, 'bytes') or 0) + #frame > limit then return {'FULL', last} end",
        "",
        _SUBMIT + "test_over_the_limit_is_full_and_changes_nothing",
    ),
    Mutant(
        _LUA + "submit.lua",
        "if string.find(count.err, 'OOM', 1, true) then return {'FULL', last} end",
        "",
        _SUBMIT + "test_out_of_memory_is_full_and_changes_nothing",
    ),
    Mutant(
        _LUA + "submit.lua",
        "if by ~= owner then return {'FENCED', by or ''} end",
        "",
        _RESUME + "test_what_an_earlier_owner_sends_is_fenced",
    ),
    Mutant(
        _LUA + "submit.lua",
        "fid, position + tasks, owner",
        "fid, position, owner",
        _RESUME + "test_a_successor_hears_where_the_chain_stands",
    ),
    Mutant(
        _LUA + "resume.lua",
        "(owner or 0) + 1",
        "0",
        _RESUME + "test_owners_rise_whatever_the_clock_says",
    ),
    Mutant(
        _LUA + "submit.lua",
        "return redis.error_reply('BADARGS submit')",
        "",
        _SUBMIT + "test_bad_arguments_change_nothing",
    ),
    Mutant(
        _LUA + "submit.lua",
        "redis.call('SET', p, mark, 'PX', keep)",
        "",
        _SUBMIT + "test_a_chain_continues_and_nothing_else_is_accepted",
    ),
    Mutant(
        _LUA + "submit.lua",
        "string.format('%.0f-%s', count, fid)",
        "string.format('%.0f-0', count)",
        _SUBMIT + "test_ids_are_exact_beyond_what_a_double_holds",
    ),
    Mutant(
        _LUA + "append.lua",
        "string.format('%.0f-%s',",
        "string.format('%.0f-0',",
        _COMMIT + "test_an_entry_bears_the_fid_of_its_frame",
    ),
    Mutant(
        _LUA + "commit.lua",
        "if redis.call('XACK', source, 'g', id) == 0 then return {'FENCED', ''} end",
        "redis.call('XACK', source, 'g', id)",
        _COMMIT + "test_only_the_first_commit_counts",
    ),
    Mutant(
        _LUA + "commit.lua",
        "until delivered[1][2][1][1] == held",
        "until true",
        _COMMIT + "test_a_held_frame_is_delivered_though_a_stray_one_lies_before_it",
    ),
    Mutant(
        _LUA + "commit.lua",
        "if not sound then",
        "if false then",
        _COMMIT + "test_a_bad_placement_leaves_the_entry_as_it_was",
    ),
    Mutant(
        _LUA + "commit.lua",
        "if not number then return redis.error_reply('BADARGS commit ' .. i) end",
        "number = number or 0",
        _COMMIT + "test_bad_numbers_leave_the_entry_as_it_was",
    ),
    Mutant(_LUA + "commit.lua", "sound = not holds", "sound = true", _COMMIT + "test_two_held_frames_are_refused"),
    Mutant(
        _LUA + "commit.lua",
        "if group.err then return group end",
        "",
        _COMMIT + "test_a_held_frame_needs_its_group_before_anything_is_written",
    ),
    Mutant(
        _LUA + "commit.lua",
        "-- The fence,",
        "redis.call('HINCRBY', c, 'done', 0) -- The fence,",
        _COMMIT + "test_out_of_memory_it_passes",
    ),
    Mutant(
        _LUA + "commit.lua",
        "ttl = math.max(ttl, 86400000)",
        "",
        _RESULTS + "test_tasks_that_go_back_keep_the_hash_for_a_day",
    ),
    Mutant(
        _LUA + "commit.lua",
        "if last_due > 0 then ttl = math.max(ttl, 86400000 + last_due - now_ms(numbers[9])) end",
        "",
        _RESULTS + "test_tasks_without_an_outcome_keep_the_hash",
    ),
    Mutant(
        _LUA + "tick.lua",
        "redis.call('HDEL', KEYS[1], '')",
        "",
        _TICK + "test_it_beats_and_promotes_out_of_memory",
    ),
    Mutant(
        _LUA + "claim.lua",
        ", 'RETRYCOUNT', deliveries)",
        ")",
        _CLAIM + "test_deliveries_rise_only_where_the_worker_crashed",
    ),
    Mutant(
        _LUA + "claim.lua",
        "if #redis.call('XPENDING', KEYS[i], 'g', '-', '+', 1, from) > 0 then return out end",
        "",
        _CLAIM + "test_a_consumer_is_forgotten_only_when_it_has_nothing_anywhere",
    ),
    Mutant(
        _LUA + "claim.lua",
        "if ARGV[5] ~= '' and (redis.call('HGET', KEYS[2], from) or '0') ~= ARGV[5] then return out end",
        "",
        _CLAIM + "test_a_worker_that_has_beaten_since_it_was_judged_keeps_its_own",
    ),
    Mutant(
        _LUA + "bury.lua",
        "if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return {'GONE', ''} end",
        "redis.call('XDEL', KEYS[1], ARGV[1])",
        _BURY + "test_one_is_revived_and_the_rest_stays_dead",
    ),
    Mutant(
        "producer/chain.py",
        "self.id = os.urandom(12).hex()",
        "pass",
        _CHAIN + "test_a_chain_that_another_continued_starts_anew",
    ),
    Mutant(
        "producer/chain.py",
        " or frame.fid in self._doubtful",
        "",
        _CHAIN + "test_what_may_be_on_the_server_is_not_taken_back",
    ),
    Mutant(
        "producer/chain.py",
        "self._doubtful.update(frame.fid for frame in islice(self._frames, self._sent))",
        "pass",
        _CHAIN + "test_what_may_be_on_the_server_is_not_taken_back",
    ),
    Mutant(
        "producer/chain.py",
        "fid, sent = frame.fid, max(0, self._sent - 1)",
        "fid, sent = frame.fid, self._sent",
        _CHAIN + "test_accepted_once_and_in_order",
    ),
    *(
        Mutant("producer/" + file, guard, instead, _WINDOW + test)
        for file, guard, instead, test in [
            (
                "chain.py",
                "again = self.window.take_after(self, last)",
                "again = None",
                "test_a_server_that_goes_back_loses_and_doubles_nothing",
            ),
            (
                "chain.py",
                "(self._alone or last is None)",
                "True",
                "test_of_a_frame_that_is_not_remembered_nothing_is_sent_again",
            ),
            (
                "chain.py",
                "self.window.drop(self)",
                "pass",
                "test_of_a_frame_that_is_not_remembered_nothing_is_sent_again",
            ),
            (
                "chain.py",
                "self._doubtful.update(frame.fid for frame in again)",
                "pass",
                "test_what_is_sent_again_is_not_taken_back",
            ),
            ("chain.py", "self._sent += len(again)", "pass", "test_what_is_sent_again_is_not_taken_back"),
            (
                "window.py",
                "        self._answered = None",
                "        pass",
                "test_it_forgets_after_seconds_in_which_the_server_answers",
            ),
            ("window.py", "oldest.forget()", "pass", "test_bytes_are_limited_and_what_went_is_told"),
        ]
    ),
    Mutant(
        "producer/owned.py",
        "if self.owner is not None and last is not None and last > self.owner:",
        "if False:",
        _STORED + "test_an_owner_that_was_succeeded_sends_no_more",
    ),
    Mutant(
        "producer/owned.py",
        "        self._sent = 0\n        self.owner = None",
        "        self._sent = 0",
        _STORED + "test_a_server_that_has_lost_the_owner_is_asked_again",
    ),
    Mutant(
        "producer/stored.py",
        "self.settled += self.journal.skip_through(last)",
        "pass",
        _STORED + "test_all_that_was_on_disk_survives",
    ),
    Mutant(
        "producer/stored.py",
        "if self.away or self.full or self.journal.unread:",
        "if self.away or self.full:",
        _STORED + "test_what_is_stored_is_accepted_once_and_in_order",
    ),
    Mutant(
        "producer/stored.py",
        """        self.away = True
        self.keep()""",
        "        self.away = True",
        _STORED + "test_what_is_stored_is_accepted_once_and_in_order",
    ),
    Mutant(
        "producer/store.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        _STORED + "TestFolder::test_two_owners",
    ),
    Mutant(
        "producer/store.py",
        "if self.size + HEAD + len(frame) > self.limit:",
        "if False:",
        _STORED + "test_at_the_limit_frames_wait_in_memory",
    ),
    Mutant(
        "producer/records.py",
        " or zlib.crc32(view[at + _CHECKED : end]) != checksum",
        "",
        _JOURNAL + "test_damage_in_the_middle_is_reported_kept_aside_and_passed_over",
    ),
    Mutant(
        "producer/journal.py",
        "os.truncate(path, len(data))",
        "pass",
        _JOURNAL + "test_it_is_cut_at_every_byte",
    ),
    Mutant(
        "producer/journal.py",
        "os.ftruncate(self._file, segment.size)",
        "pass",
        _JOURNAL + "test_a_write_that_fails_leaves_nothing",
    ),
    Mutant(
        "worker/observer.py",
        "now - seen.missing_at >= 1.0 and ",
        "",
        _OBSERVER + "test_death_needs_two_scans_a_second_apart",
    ),
    Mutant(
        "worker/observer.py",
        " and self._long_connected(now)",
        "",
        _OBSERVER + "test_nobody_is_dead_before_the_observer_is_connected_for_a_lease",
    ),
    Mutant("worker/observer.py", "if name == me:", "if False:", _OBSERVER + "test_oneself_is_never_judged"),
    Mutant(
        "worker/recovery.py",
        "orphans.pop(name, None)",
        "pass",
        "tests/unit/test_recovery.py::test_frames_are_taken_by_the_beat_that_was_seen",
    ),
    Mutant(
        "worker/recovery.py",
        "self._orphans = {\n",
        "self._orphans |= {\n",
        "tests/unit/test_recovery.py::test_who_has_come_back_keeps_what_it_has",
    ),
    Mutant(
        "worker/commits.py",
        "if job.over or job.drafted:",
        "if job.over:",
        _DRAFT + "test_a_job_whose_last_commit_is_drafted_is_not_split",
    ),
    Mutant(
        "worker/inbox.py",
        "if len(view) != entry.tasks:",
        "if False:",
        _DRAFT + "test_a_frame_of_another_number_of_tasks_than_its_entry_says_is_corrupt",
    ),
    Mutant(
        "worker/inbox.py",
        "if crashes >= CRASHES - 1 and len(view) > 1:",
        "if False:",
        _DRAFT + "test_frames_that_killed_workers",
    ),
    Mutant(
        "worker/wire.py",
        " and self._connection.connected",
        "",
        _STOP + "test_a_connection_that_broke_is_not_connected",
    ),
    Mutant(
        "worker/worker.py",
        "            self._recovery.surrender(patience=OVERDUE_PATIENCE)",
        "            pass",
        "tests/integration/test_worker.py::test_grace_over_the_running_task_and_what_waits_behind_it_go_back_too",
    ),
    Mutant(
        "worker/worker.py",
        "(self._hand.held and time.monotonic() < self._give_up_at)",
        "self._hand.held",
        _STOP + "test_a_stopped_worker_waits_no_longer_than_its_grace_for_a_server_to_commit_to",
    ),
    Mutant(
        "worker/job.py",
        " and (entry.stream == keys.held or not view.crashes)",
        "",
        "tests/integration/test_suspects.py::test_a_suspect_answers_for_deaths_over_itself_alone",
    ),
    *(
        Mutant("producer/pump.py", guard, instead, f"tests/integration/test_producer.py::{test}")
        for guard, instead, test in [
            ("patience < HASTE and ", "", "test_a_server_that_is_silent_until_a_deadline_is_given_up"),
            (" and self.flight.silence(now) < HASTE", "", "test_a_deadline_that_passes_at_once_breaks_no_connection"),
            (
                "not hasty or connection.readable(patience)",
                "True",
                "test_a_deadline_that_passes_at_once_breaks_no_connection",
            ),
        ]
    ),
    # What histories show: each runs 200 seeds.
    *(
        Mutant(file, guard, instead, "tests/simulation/test_simulation.py::test_the_promise_holds")
        for file, guard, instead in [
            (_LUA + "submit.lua", "if last ~= ARGV[1] then return {'NO', last} end", ""),
            (_LUA + "submit.lua", "fid, 691200000", "fid, 86400000"),
            (_LUA + "commit.lua", "if redis.call('XACK', source, 'g', id) == 0 then return {'FENCED', ''} end", ""),
            (
                _LUA + "claim.lua",
                "if #redis.call('XPENDING', KEYS[i], 'g', '-', '+', 1, from) > 0 then return out end",
                "",
            ),
            ("producer/chain.py", "again = self.window.take_after(self, last)", "again = None"),
            (
                "producer/chain.py",
                "self._doubtful.update(frame.fid for frame in islice(self._frames, self._sent))",
                "pass",
            ),
            (
                "worker/wire.py",
                "self._unsent.extendleft(commit for commit in reversed(self._sent) if commit is not None)",
                "pass",
            ),
            ("worker/recovery.py", "reply, deliveries))", "reply))"),
            ("worker/job.py", " and (entry.stream == keys.held or not view.crashes)", ""),
            ("worker/worker.py", "ours = self._committer.hold(job)", "ours = True"),
            (
                "worker/worker.py",
                "elif self._hand.held > 1:\n            self._wire.settle()",
                "elif self._hand.held > 1:",
            ),
        ]
    ),
    *mutants_memory.MUTANTS,
]
