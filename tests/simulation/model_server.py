"""A modelled server: the shipped scripts, run by a Lua of the same version on modelled keys."""

import copy
import functools
from collections.abc import Callable
from typing import Any

from lupa import lua51

from simulation.store import DENIED, WRITES, Refused, Store
from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.coordination.replies import ReplyError
from ttp.coordination.scripts import SCRIPTS

OOM = "OOM command not allowed when used memory > 'maxmemory'."


class ModelServer:
    """One server.

    Args:
        clock: its time, microseconds.

    Attributes:
        out_of_memory: what needs memory is refused.
        clients: names of the connections that it sees.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.store = Store(clock)
        self.out_of_memory = False
        self.clients: list[str] = []
        self._may_write = True  # a script that has written goes on under OOM

    def ensure_queue(self, keys: Keys) -> None:
        """Make the groups of a queue."""
        for stream in (*keys.streams, keys.held):
            self.store.make_stream(stream.encode())

    def execute(self, command: Command) -> Any:
        """One command as a client sends it, and its reply."""
        name, *arguments = [_raw(part) for part in command]
        self._may_write = not self.out_of_memory
        try:
            if name == b"EVALSHA":
                return self._evalsha(*arguments)
            if name == b"CLIENT":
                return "\n".join(f"id=1 name={client} age=1" for client in self.clients).encode()
            return self._run(name.decode(), arguments)
        except Refused as refusal:
            return ReplyError(str(refusal))

    def snapshot(self) -> Any:
        """All data, to `restore`."""
        return copy.deepcopy((self.store.keys, self.store.expires))

    def restore(self, snapshot: Any) -> None:
        """Go back to it."""
        self.store.keys, self.store.expires = copy.deepcopy(snapshot)

    def _run(self, name: str, arguments: list[bytes]) -> Any:
        if name in DENIED and not self._may_write:
            raise Refused(OOM)
        reply = self.store.run(name, arguments)
        self._may_write = self._may_write or name in WRITES
        return reply

    def _evalsha(self, sha: bytes, number: bytes, *rest: bytes) -> Any:
        lua, scripts = _runtime()
        keys, arguments = rest[: int(number)], rest[int(number) :]
        reply = scripts[sha.decode()](self._call, self._pcall, lua.table_from(keys), lua.table_from(arguments))
        return _from_lua(reply)

    def _call(self, name: bytes, *arguments: Any) -> Any:
        return _to_lua(self._run(name.decode(), [_raw(part) for part in arguments]))

    def _pcall(self, name: bytes, *arguments: Any) -> Any:
        try:
            return self._call(name, *arguments)
        except Refused as refusal:
            return _runtime()[0].table_from({b"err": str(refusal).encode()})


@functools.cache
def _runtime() -> tuple[Any, dict[str, Any]]:
    """The interpreter, and the scripts by their sums."""
    lua = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    head = "return function(call, pcall_, KEYS, ARGV) local redis = {call = call, pcall = pcall_,"
    head += " error_reply = function(text) return {err = text} end} "
    return lua, {script.sha: lua.execute(f"{head}{script.text}\nend".encode()) for script in SCRIPTS}


def _raw(part: Any) -> bytes:
    """An argument as it goes over the wire."""
    if isinstance(part, bytes):
        return part
    if isinstance(part, float):
        return b"%.17g" % part
    return str(part).encode() if isinstance(part, (str, int)) else bytes(part)


def _to_lua(reply: Any) -> Any:
    if isinstance(reply, list):
        return _runtime()[0].table_from([_to_lua(part) for part in reply])
    return False if reply is None else reply


def _from_lua(reply: Any) -> Any:
    if lua51.lua_type(reply) == "table":
        if reply[b"err"] is not None:
            return ReplyError(reply[b"err"].decode())
        return [_from_lua(reply[n]) for n in range(1, len(reply) + 1)]
    if reply is None or reply is False:
        return None
    return int(reply) if isinstance(reply, (int, float)) else reply
