"""How much memory a process takes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in bytes, what it shares with others included."""

    now: int
    most: int
    """The most since the process began."""


def memory_of(pid: int) -> Memory:
    """The memory of a running process, as Linux counts it (`VmRSS` and `VmHWM`, in KiB)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    now, most = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return Memory(now, most)
