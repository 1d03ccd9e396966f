"""How many bytes a device can still give."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch


def available_bytes(device: torch.device | str) -> int | None:
    """Tells how many bytes can still be allocated on a device, or nothing where that cannot be known.

    On a CPU it is what the system can give without swapping, or what the control group allows if that is less.

    Args:
        device: Where.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    known = [size for size in (_system_bytes(), *_control_group_bytes(Path("/sys/fs/cgroup"))) if size is not None]
    return min(known, default=None)


def _system_bytes() -> int | None:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _control_group_bytes(root: Path) -> Iterator[int]:
    """What the control group's limit leaves, in its second or first version; nothing without a limit."""
    pairs = [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")]
    for limit, usage in pairs:
        if (root / limit).exists() and (root / usage).exists():
            bound = (root / limit).read_text().strip()
            if bound != "max":
                yield max(0, int(bound) - int((root / usage).read_text()))


def readable_bytes(size: int) -> str:
    """Says how many bytes in the largest unit that leaves at least one."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
