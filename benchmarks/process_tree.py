"""What a command and all its descendants use: wall-clock time, CPU time and memory, by the part that each plays."""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_INTERVAL = 0.04


@dataclass
class Usage:
    """Of one command.

    Attributes
    ----------
    started : when it was started, in seconds since the epoch.
    wall : seconds from its start to its end.
    cpu : CPU seconds by part ("launcher", "JVM", "driver", "daemon", "workers", "scripts"). Read every 40 ms, so a
        process that ends between two readings is missed by so much.
    appeared : seconds from the start until the first process of each part was there.
    peak : most bytes of resident memory at one time of each part; pages that processes share are counted in each.
    peak_total : most bytes of memory at one time of all together, each page counted once; 0 where not asked for.
    """

    exit_code: int = 0
    started: float = 0.0
    wall: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    appeared: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)
    peak_total: int = 0
    output: str = ""

    @property
    def cpu_total(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.cpu.values())


def watch(command: list[str], environment: dict[str, str] | None = None, total_memory: bool = False) -> Usage:
    """Run a command to its end and see what its process tree uses (Linux: reads /proc).

    ``total_memory`` asks the kernel for what each process has of shared pages, which slows all of them a little.
    """
    usage = Usage(started=time.time())
    cpu_of: dict[int, tuple[str, float]] = {}
    known: set[int] = set()
    started = time.perf_counter()
    output = tempfile.TemporaryFile()
    # As make does: the programs of this environment first.
    environment = dict(environment or os.environ)
    environment["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), environment.get("PATH", os.defpath)])
    process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    known.add(process.pid)
    while process.poll() is None:
        alive = _sample(known, cpu_of, usage, time.perf_counter() - started)
        if total_memory:
            usage.peak_total = max(usage.peak_total, sum(map(_proportional_memory, alive)))
        time.sleep(_INTERVAL)
    usage.wall = time.perf_counter() - started
    usage.exit_code = process.returncode
    # What outlives spark-submit for some milliseconds (PySpark's daemon) also counts.
    while _sample(known, cpu_of, usage, usage.wall) and time.perf_counter() - started < usage.wall + 5:
        time.sleep(_INTERVAL)
    output.seek(0)
    usage.output = output.read().decode(errors="replace")
    totals: dict[str, float] = defaultdict(float)
    for part, seconds in cpu_of.values():
        totals[part] += seconds
    usage.cpu = dict(totals)
    return usage


def succeeded(usage: Usage) -> Usage:
    """The same, or the end of this program where the command failed."""
    if usage.exit_code:
        sys.exit(f"a measured command failed:\n{usage.output}")
    return usage


def _sample(known: set[int], cpu_of: dict[int, tuple[str, float]], usage: Usage, now: float) -> list[int]:
    """Read every process of the tree once; returns those that live."""
    parents, stats = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)], stats[int(entry)] = int(stat[1]), stat
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in known} - known
        known |= more
        grown = bool(more)
    memory: dict[str, int] = defaultdict(int)
    alive = [pid for pid in known if pid in stats and stats[pid][0] != "Z"]
    for pid in alive:
        stat = stats[pid]
        # A process that ends has no command any more.
        part = _part(pid, parents[pid]) or cpu_of.get(pid, ("scripts",))[0]
        cpu_of[pid] = (part, (int(stat[11]) + int(stat[12])) / _TICK)
        usage.appeared.setdefault(part, round(now, 3))
        memory[part] += int(stat[21]) * _PAGE
    for part, resident in memory.items():
        usage.peak[part] = max(usage.peak.get(part, 0), resident)
    return alive


def _proportional_memory(pid: int) -> int:
    """Bytes of resident memory, of pages that n processes share an n-th."""
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    except OSError:
        return 0


def _part(pid: int, parent: int) -> str:
    command = _command(pid)
    if "org.apache.spark.launcher.Main" in command:
        return "launcher"
    if _is_jvm(command):
        return "JVM"
    if "daemon" in command:
        return "workers" if "daemon" in _command(parent) else "daemon"
    if command and _is_jvm(_command(parent)) and ".py" in command:
        return "driver"
    if "--remote=" in command:  # A client of Spark Connect: its parent is no JVM.
        return "driver"
    return "scripts" if command else ""


def _is_jvm(command: str) -> bool:
    return "org.apache.spark.deploy.SparkSubmit" in command and "java" in command.split("\0")[0]


def _command(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "cmdline").read_text(errors="replace")
    except OSError:
        return ""
