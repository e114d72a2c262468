"""The promise, held against what the server is told: each task accepted once, in order, and ended once."""

import copy
from collections import Counter
from typing import Any

from simulation.model_server import ModelServer
from simulation.store import read_id
from ttp.coordination import commands
from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.coordination.replies import ReplyError
from ttp.coordination.scripts import CLAIM, COMMIT, SUBMIT
from ttp.native import DEAD, DONE, FrameView
from ttp.results import FrameResults

Task = tuple[int, int]  # origin, index
PLACEMENT = 11  # arguments of one placement of a commit
REJECTED, POISON = 2, 6  # numbers, of 24, that a handler refuses, or that kill its worker


class Broken(AssertionError):
    """The promise does not hold."""


class Oracle:
    """Looks at every submit and commit that the server accepts.

    Attributes:
        promised: what a producer was told is accepted.
        refused: what a producer was told is not; must never be found on the server.
        pushed: frames in the order in which a producer lined them up, by (producer, priority).
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.accepted: dict[Task, int] = {}  # its number
        self.ended: dict[Task, int] = {}  # its outcome
        self.order: dict[tuple[bytes, int], list[int]] = {}
        self.promised: dict[int, str] = {}  # number → to whom
        self.promised_frames: dict[int, tuple[int, str]] = {}  # fid → tasks, to whom
        self.refused: set[int] = set()
        self.refused_frames: set[int] = set()
        self.pushed: dict[tuple[bytes, int], list[int]] = {}
        self.stats: Counter[str] = Counter()
        self.deaths: Counter[int] = Counter()  # number → workers that died over it
        self._died_over: dict[str, int] = {}  # consumer → number
        self._kept: set[int] = set()  # origins whose results are kept
        self._children: Counter[int] = Counter()

    # what the server does

    def before(self, server: ModelServer, command: Command) -> FrameView | None:
        """The frame that a commit would replace."""
        if command[0] != "EVALSHA" or command[1] != COMMIT.sha:
            return None
        stream = server.store.keys[_bytes(command[3])]
        fields = stream.entries.get(read_id(_bytes(_arguments(command)[0])))
        return None if fields is None else FrameView(fields[fields.index(b"f") + 1])

    def after(self, command: Command, frame: FrameView | None, reply: Any) -> None:
        """The server has answered."""
        if isinstance(reply, ReplyError) and reply.code != "OOM":
            raise Broken(f"the server refuses a command: {reply}")
        if command[0] != "EVALSHA" or not isinstance(reply, list):
            return
        arguments = _arguments(command)
        if command[1] == SUBMIT.sha:
            self.stats[f"submit {reply[0].decode()}"] += 1
            if reply[0] == b"OK":
                self._submitted(FrameView(_bytes(arguments[4])))
        elif command[1] == COMMIT.sha:
            self.stats[f"commit {reply[0].decode()}"] += 1
            if reply[0] == b"OK":
                self._committed(frame, arguments)
        elif command[1] == CLAIM.sha and not int(arguments[2]) and reply:
            self._taken_from_stalled(str(arguments[0]))

    def died(self, consumer: str, number: int) -> None:
        """This task has killed this worker."""
        self.deaths[number] += 1
        self._died_over[consumer] = number

    def _taken_from_stalled(self, consumer: str) -> None:
        """It had not beaten for long when it died, and so nobody sees that it is more than stalled."""
        if (number := self._died_over.pop(consumer, None)) is not None:
            self.deaths[number] -= 1

    def _submitted(self, frame: FrameView) -> None:
        self.order.setdefault((frame.producer, frame.priority), []).append(frame.fid)
        self._accept(frame)

    def _accept(self, frame: FrameView) -> None:
        if frame.results:
            self._kept.add(frame.origin)
        for row in range(len(frame)):
            task = (frame.origin, frame.index(row))
            if task in self.accepted:
                raise Broken(f"accepted twice: {task}")
            self.accepted[task] = frame.arguments(row)[0][0]
            self._children[self.accepted[task]] += frame.name == "child"

    def _committed(self, frame: FrameView | None, arguments: list[Any]) -> None:
        if frame is None:
            raise Broken("a commit of an entry that is not there")
        left = {(frame.origin, frame.index(row)) for row in range(len(frame))}
        dead: set[Task] = set()
        for at in range(15 + int(arguments[14]), len(arguments), PLACEMENT):
            kind, _, _, derived, *_, new = arguments[at : at + PLACEMENT]
            view = FrameView(_bytes(derived))
            tasks = {(view.origin, view.index(row)) for row in range(len(view))}
            self.stats[f"{kind}{' child' if new else ''}"] += 1
            if new:
                self._accept(view)
                continue
            if not tasks <= left or len(tasks) != len(view):
                raise Broken(f"a commit places {tasks - left}, which its entry has not, or has placed")
            left -= tasks
            dead |= tasks if kind == "dead" else set()
        for task in left | dead:
            if task in self.ended:
                raise Broken(f"ended twice: {task}, number {self.accepted.get(task)}")
            if task not in self.accepted:
                raise Broken(f"ended and never accepted: {task}")
            self.ended[task] = DEAD if task in dead else DONE

    # in a failover

    def snapshot(self) -> Any:
        """What has happened on the server, to `restore`."""
        return copy.deepcopy((self.accepted, self.ended, self.order, self._kept, self._children))

    def restore(self, snapshot: Any) -> None:
        """Nothing has happened since."""
        self.accepted, self.ended, self.order, self._kept, self._children = copy.deepcopy(snapshot)

    def release(self, producer: str) -> None:
        """This producer is dead: it will not send again what the server has lost of what it was promised."""
        numbers, origins = set(self.accepted.values()), {origin for origin, _ in self.accepted}
        self.promised = {n: to for n, to in self.promised.items() if to != producer or n in numbers}
        self.promised_frames = {
            fid: (tasks, to) for fid, (tasks, to) in self.promised_frames.items() if to != producer or fid in origins
        }

    # at the end

    def judge(self, server: ModelServer) -> None:
        """Everything has come to rest."""
        if lost := self.accepted.keys() - self.ended.keys():
            raise Broken(f"lost: {len(lost)} tasks, as number {self.accepted[min(lost)]}")
        numbers = Counter(self.accepted.values()) - self._children
        if doubled := [number for number, times in numbers.items() if times > 1]:
            raise Broken(f"accepted under two ids: {doubled}")
        if untold := self.promised - numbers.keys():
            raise Broken(f"promised and not accepted: {untold}")
        if invented := self.refused & numbers.keys():
            raise Broken(f"refused and accepted all the same: {invented}")
        for fid, (tasks, _) in self.promised_frames.items():
            if not all((fid, index) in self.accepted for index in range(tasks)):
                raise Broken(f"a frame was promised and is not accepted: {fid}")
        if self.refused_frames & {origin for origin, _ in self.accepted}:
            raise Broken("a frame was dropped and is accepted all the same")
        self._judge_order()
        self._judge_results(server)
        self._judge_counters(server)

    def judge_deaths(self) -> None:
        """Workers died over poison alone: no other task is dead for that, and each cost three at most."""
        dead = {self.accepted[task] for task, outcome in self.ended.items() if outcome == DEAD}
        if innocent := [number for number in dead if number % 24 not in (REJECTED, POISON)]:
            raise Broken(f"dead for another's harm: {innocent}")
        if alive := [number for number in self.accepted.values() if number % 24 == POISON and number not in dead]:
            raise Broken(f"poison that did no harm: {alive}")
        if any(deaths > 3 for deaths in self.deaths.values()):
            raise Broken(f"workers died too often: {self.deaths}")

    def _judge_order(self) -> None:
        for chain, order in self.order.items():
            meant = [fid for fid in self.pushed[chain] if fid not in self.refused_frames]
            if order != meant[: len(order)]:
                raise Broken(f"a producer's frames were accepted out of order: {order}, not {meant}")

    def _judge_results(self, server: ModelServer) -> None:
        by_origin: dict[int, list[int]] = {}
        for origin, index in self.accepted:
            if origin in self._kept:
                by_origin.setdefault(origin, []).append(index)
        for origin, indices in by_origin.items():
            found = FrameResults(
                self._keys, origin, commands.mapping(server.execute(commands.results(self._keys, origin)))
            )
            for index in indices:
                outcome, value = found.find(index) or (None, None)
                if outcome != self.ended[origin, index]:
                    # Nothing is recorded of a task that workers died over.
                    if self.ended[origin, index] == DEAD and (self.stats["killed"] or self.deaths):
                        continue
                    raise Broken(f"a result is lost: {origin} {index}: {outcome}, not {self.ended[origin, index]}")
                if outcome == DONE and value != 2 * self.accepted[origin, index]:
                    raise Broken(f"a wrong result: {value} of {self.accepted[origin, index]}")

    def _judge_counters(self, server: ModelServer) -> None:
        found = commands.mapping(server.execute(("HGETALL", self._keys.counters)))
        counters = {name.decode(): int(value) for name, value in found.items()}
        dead = sum(outcome == DEAD for outcome in self.ended.values())
        meant = {
            "accepted": len(self.accepted),
            "done": len(self.ended) - dead,
            "tasks": 0,
            "waiting": 0,
            "parked": dead,
        }
        wrong = {name: counters.get(name, 0) for name in meant if counters.get(name, 0) != meant[name]}
        if wrong:
            raise Broken(f"the counters say {wrong}, not {meant}")


def _arguments(command: Command) -> list[Any]:
    return list(command[3 + int(command[2]) :])


def _bytes(part: Any) -> bytes:
    return part.encode() if isinstance(part, str) else bytes(part)
