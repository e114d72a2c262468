"""The mutants of what keeps a producer going, or ends a worker, where memory is short in the midst of things."""

from mutant import Mutant

_PRODUCER = "tests/integration/test_producer_failures.py::"
_WORKER = "tests/integration/test_worker_failures.py::"
_COROUTINES = "tests/unit/test_coroutines.py::"
_VITAL = "tests/unit/test_vital.py::"
_DRAFT = "tests/unit/test_draft.py::"

MUTANTS = [
    Mutant(
        "producer/chain.py",
        "self.accepted.pop()",
        "pass",
        "tests/unit/test_chain.py::test_a_frame_that_cannot_be_kept_is_accepted_by_the_next_answer",
    ),
    Mutant(
        "producer/lead.py",
        """        finally:
            if not was_woken:""",
        """        except ZeroDivisionError:
            pass
        else:
            if not was_woken:""",
        "tests/unit/test_lead.py::test_who_fails_to_wait_leaves_without_a_trace",
    ),
    Mutant(
        "producer/link.py",
        "            connection.close()\n            raise",
        "            raise",
        "tests/unit/test_link.py::test_a_connection_that_gets_no_barrier_is_closed",
    ),
    *(
        Mutant("producer/" + file, guard, instead, _PRODUCER + test)
        for file, guard, instead, test in [
            (
                "pump.py",
                "frame := self._taken or self._outbox.take()",
                "frame := self._outbox.take()",
                "test_a_frame_that_cannot_enter_its_chain_waits_before_it",
            ),
            (
                "pump.py",
                "except BaseException as error:  # Ctrl-C",
                "except Exception as error:  # Ctrl-C",
                "test_an_exchange_that_is_broken_off_goes_over_the_next_connection",
            ),
            (
                "pump.py",
                'self.broken(ServerUnavailable(f"{type(error).__name__} in the midst of an exchange"))',
                "pass",
                "test_an_exchange_that_is_broken_off_goes_over_the_next_connection",
            ),
            ("pump.py", "self.link.close()", "pass", "test_an_exchange_is_broken_off_though_even_that_fails"),
            (
                "pump.py",
                "if self.flight.is_connected:",
                "if False:",
                "test_an_exchange_is_broken_off_though_even_that_fails",
            ),
            (
                "pump.py",
                "error.__context__ = None",
                "pass",
                "test_an_error_that_somebody_keeps_holds_no_block_of_the_pool",
            ),
            (
                "pump.py",
                "if self.flight.accepted:",
                "if False:",
                "test_who_could_not_be_told_of_an_accepted_frame_is_told_next",
            ),
            (
                "flusher.py",
                "except Exception as error:",
                "except ZeroDivisionError as error:",
                "test_the_flusher_outlives_its_errors",
            ),
            ("flusher.py", "trouble = error", "pass", "test_the_flusher_outlives_its_errors"),
            ("flusher.py", "del said", "pass", "test_the_flusher_keeps_no_error_and_so_no_block"),
            (
                "pump.py",
                "self._taken is not None or ",
                "",
                "test_the_flusher_goes_on_with_a_frame_that_is_in_no_chain_yet",
            ),
            (
                "pump.py",
                " or bool(flight.accepted)",
                "",
                "test_the_flusher_goes_on_with_a_frame_that_nobody_was_told_of",
            ),
            (
                "pump.py",
                "        finally:\n            self.lead.settled()",
                "        except ZeroDivisionError:\n            pass\n        else:\n            self.lead.settled()",
                "test_who_waits_for_a_frame_learns_of_it_though_the_leader_fails",
            ),
            (
                "producer.py",
                "self.outbox.attended = False",
                "pass",
                "test_a_flusher_that_cannot_start_does_so_later",
            ),
        ]
    ),
    *(
        Mutant("worker/" + file, guard, instead, _WORKER + test)
        for file, guard, instead, test in [
            (
                "worker.py",
                "while True:\n                self._vital.check()",
                "while True:",
                "test_an_idle_worker_whose_watchdog_has_no_memory",
            ),
            (
                "worker.py",
                "self._vital.check()\n        self._hand.await_room",
                "self._hand.await_room",
                "test_a_committer_without_memory_for_a_frame_that_runs_alone",
            ),
            (
                "worker.py",
                "Vital() if coroutines is None else coroutines.vital",
                "Vital()",
                "test_an_event_loop_that_is_told_to_exit",
            ),
            (
                "watchdog.py",
                'vital.thread("ttp-watchdog", self._work)',
                "threading.Thread(target=self._work, daemon=True)",
                "test_an_idle_worker_whose_watchdog_has_no_memory",
            ),
            (
                "commits.py",
                'vital.thread("ttp-committer", self._work)',
                "threading.Thread(target=self._work, daemon=True)",
                "test_a_thread_without_memory",
            ),
            (
                "runners.py",
                'vital.thread(f"ttp-handler-{n}", self._work)',
                '__import__("threading").Thread(target=self._work, daemon=True)',
                "test_a_thread_without_memory",
            ),
            ("vital.py", "with self:", "if True:", "test_an_idle_worker_whose_watchdog_has_no_memory"),
        ]
    ),
    *(
        Mutant("worker/" + file, guard, instead, _COROUTINES + test)
        for file, guard, instead, test in [
            (
                "vital.py",
                "self.failure = self.failure or error",
                "pass",
                "test_what_fails_beside_the_handlers_is_noted_and_the_loop_goes_on",
            ),
            (
                "coroutines.py",
                "with self.vital:  # after a failure",
                "if True:  # after a failure",
                "test_a_callback_that_ends_the_loop_is_noted_and_the_loop_goes_on",
            ),
            (
                "coroutines.py",
                "with self.vital:\n            self._waiting.extend(parts)",
                "if True:\n            self._waiting.extend(parts)",
                "test_what_fails_beside_the_handlers_is_noted_and_the_loop_goes_on",
            ),
            (
                "coroutines.py",
                "with self.vital:\n            await running.run()",
                "if True:\n            await running.run()",
                "test_what_fails_beside_the_handlers_is_noted_and_the_loop_goes_on",
            ),
            (
                "coroutines.py",
                "with self.vital:  # the row is not to blame",
                "if True:  # the row is not to blame",
                "test_a_row_that_waits_is_not_to_blame_for_what_fails_then",
            ),
            (
                "coroutines.py",
                "self.vital.failure = self.vital.failure or error",
                "pass",
                "test_only_what_asyncio_may_have_forgotten_ends_the_worker",
            ),
            (
                "coroutines.py",
                'isinstance(error := context.get("exception"), MemoryError)',
                'isinstance(error := context.get("exception"), Exception)',
                "test_only_what_asyncio_may_have_forgotten_ends_the_worker",
            ),
            (
                "coroutines.py",
                '"handle" in context and ',
                "",
                "test_what_fails_in_a_task_of_the_handlers_own_is_not_noted",
            ),
        ]
    ),
    Mutant(
        "worker/vital.py",
        "self.failure = self.failure or error",
        "self.failure = error or self.failure",
        _VITAL + "test_the_first_failure_stays",
    ),
    Mutant("worker/vital.py", "return True", "return False", _VITAL + "test_a_thread_ends_without_a_word_of_its_own"),
    Mutant(
        "worker/commits.py",
        "if not job.over:  # what it came to",
        "if False:  # what it came to",
        _DRAFT + "test_a_job_that_is_given_back_in_vain_is_left_to_others",
    ),
    Mutant(
        "worker/commits.py",
        "        finally:\n            for job in jobs:",
        "        except ZeroDivisionError:\n            pass\n        else:\n            for job in jobs:",
        _DRAFT + "test_a_commit_that_fails_lets_go_of_its_jobs",
    ),
]
