"""Every fault by its name, and how often it happens: in a short run, and in a full one."""

from collections.abc import Callable
from dataclasses import dataclass

from ttp.chaos.faults import frames, network, overload, processes, servers
from ttp.chaos.report import Report
from ttp.coordination.server_binary import ServerBinary


@dataclass(frozen=True, slots=True)
class Fault:
    """How a fault is run.

    Attributes:
        inject: (server program, tasks at least, seed, count) → the report. NotInjected where that cannot be.
        short, full: (tasks, count).
    """

    inject: Callable[[ServerBinary, int, int, int], Report]
    short: tuple[int, int]
    full: tuple[int, int]


FAULTS = {
    "kill-worker": Fault(processes.kill_worker, (5_000, 2), (1_000_000, 1_000)),
    "pause-worker": Fault(processes.pause_worker, (5_000, 1), (1_000_000, 500)),
    "kill-producer": Fault(processes.kill_producer, (2_000, 3), (100_000, 200)),
    "lost-reply": Fault(network.lost_reply, (2_000, 20), (100_000, 2_000)),
    "cut": Fault(network.cut, (2_000, 60), (100_000, 12_000)),
    "restart-server": Fault(servers.restart_server, (5_000, 2), (1_000_000, 100)),
    "failover": Fault(servers.failover, (5_000, 1), (1_000_000, 50)),
    "clock": Fault(servers.clock, (5_000, 4), (100_000, 300)),
    "oom": Fault(servers.oom, (4_000, 2), (1_000_000, 20)),
    "disk-full": Fault(servers.disk_full, (5_000, 1), (100_000, 20)),
    "poison": Fault(processes.poison, (400, 1), (10_000, 20)),
    "oversize": Fault(frames.oversize, (1_000, 10), (100_000, 1_000)),
    "corrupt": Fault(frames.corrupt, (1_000, 20), (100_000, 1_000)),
    "version-skew": Fault(frames.version_skew, (1_000, 20), (100_000, 1_000)),
    "overload": Fault(overload.overload, (10_000, 12), (100_000, 240)),
    "breaker": Fault(processes.dependency_down, (2_000, 1), (100_000, 20)),
}
