"""A chain that outlives its process: one producer at a time continues it. No I/O."""

from typing import Protocol

from ttp.errors import ServerRefused
from ttp.native import FrameWriter
from ttp.producer.chain import Chain


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
        position: tasks accepted in it, by all processes that owned it.
    """

    def __init__(self, chain_id: str) -> None:
        super().__init__(chain_id)
        self.owner: int | None = None
        self.position = 0

    def sendable(self, window: int) -> list[tuple[int | None, FrameWriter]]:
        """See `Chain`; nothing before it is resumed."""
        return [] if self.owner is None else super().sendable(window)

    def resumed(self, last: int | None, position: int, owner: int) -> list[FrameWriter]:
        """The server's answer to `commands.resume`. Returns the frames that it turns out to have."""
        self.owner = owner
        self.position = position
        if any(frame.fid == last for frame in self._frames):
            return self._accept_through(last)
        self._accepted = last
        return []

    def answer(self, status: str, last: int | None) -> list[FrameWriter]:
        """See `Chain`; a status of FENCED comes with the number of the chain's owner.

        Raises:
            ServerRefused: another process owns the chain now.
        """
        if status != "FENCED":
            accepted = super().answer(status, last)
            self.position += sum(map(len, accepted))
            return accepted
        if self.owner is not None and last is not None and last > self.owner:
            raise ServerRefused(f"another process has taken over the producer {self.id!r}: this one sends no more")
        # The server does not know this owner any more: it went back to an earlier state.
        self._replies -= 1
        self._broken = self._replies > 0
        if not self._broken:
            self._sent = 0
            self.owner = None
        return []

    def _diverged(self, last: int | None) -> None:
        """The server went back to an earlier state: go on from there."""
        self._accepted = last
