"""A chain that outlives its process: one producer at a time continues it. No I/O."""

from typing import Protocol

from ttp.errors import ServerRefused
from ttp.native import FrameWriter
from ttp.producer.chain import Chain
from ttp.producer.window import kept, kept_tasks


class Owner(Protocol):
    """Whose chains these are: of emitted tasks, and more than a process's."""

    def chain_id(self, task: str, /) -> str:
        """The id of the chain for a task of this name."""
        ...

    def chain(self, queue: str, priority: int, chain_id: str, /) -> "OwnedChain":
        """A chain of this id, to this stream."""
        ...


class NamedProducer:
    """One chain for each task, so that the tasks accepted in it tell where its source goes on."""

    def __init__(self, name: str) -> None:
        self._name = name

    def chain_id(self, task: str, /) -> str:
        """See `Owner`."""
        return f"{self._name}:{task}"

    def chain(self, _queue: str, _priority: int, chain_id: str, /) -> "OwnedChain":
        """See `Owner`."""
        return OwnedChain(chain_id)


class OwnedChain(Chain):
    """A chain under a name of its own. Before it sends, it is resumed: the server says where it stands.

    Its id never changes: nobody else sends under it, so whatever the server has is what this name was told last.

    Attributes:
        owner: the number under which the server knows this process; None until `resumed`.
        position: tasks accepted in it, by all processes that owned it; those that are sent again count.
    """

    _alone = True

    def __init__(self, chain_id: str) -> None:
        super().__init__(chain_id)
        self.owner: int | None = None
        self.position = 0

    def sendable(self, window: int) -> list[tuple[int | None, FrameWriter]]:
        """See `Chain`; nothing before it is resumed."""
        return [] if self.owner is None else super().sendable(window)

    def resumed(self, last: int | None, position: int, owner: int) -> None:
        """The server's answer to `commands.resume`."""
        self.owner = owner
        if any(frame.fid == last for frame in self._frames):
            self._accept_through(last)
        elif last != self._accepted and not self._went_back(last):
            self._accepted = last
        self._sent = 0  # without an owner nothing is on the wire
        self.position = position + kept_tasks(self._frames)

    def owned_by(self, owner: int | None, last: int | None) -> None:
        """As `stands`, and the chain has this owner."""
        if owner == self.owner:
            self.stands(last)
        elif self._replies == 0 and (self.owner is None or (owner or 0) < self.owner):
            self._start_over()

    def answer(self, status: str, last: int | None) -> None:
        """See `Chain`; a status of FENCED comes with the number of the chain's owner.

        Raises:
            ServerRefused: another process owns the chain now.
        """
        if status != "FENCED":
            super().answer(status, last)
            return
        if self.owner is not None and last is not None and last > self.owner:
            raise ServerRefused(f"another process has taken over the producer {self.id!r}: this one sends no more")
        self._replies -= 1
        self._broken = self._replies > 0
        if not self._broken:
            self._start_over()

    def _start_over(self) -> None:
        """The server does not know this owner any more: it went back to an earlier state."""
        self._sent = 0
        self.owner = None

    def _count(self, frame: FrameWriter) -> None:
        """See `Chain`; counts what is accepted for the first time."""
        if not kept(frame):
            self.position += len(frame)

    def _diverged(self, last: int | None) -> None:
        """The server went back to an earlier state: go on from there."""
        self._accepted = last
