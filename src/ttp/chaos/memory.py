"""What a process has in memory, as Linux tells it."""

from pathlib import Path

from ttp.chaos.server import NotInjected


def resident(pid: int | str = "self") -> int:
    """Bytes now."""
    return _read(pid, "VmRSS")


def peak(pid: int | str = "self") -> int:
    """Bytes at most, since it began."""
    return _read(pid, "VmHWM")


def _read(pid: int | str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError as error:
        raise NotInjected(f"the memory of a process is missing here: {error}") from None
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
