"""How many processors this container may use: the machine's, or what its control group allows."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def usable(groups: Path = _GROUPS) -> float:
    """Return the processors, such as 1.5; ``groups`` is where control groups are mounted."""
    machine = float(len(os.sched_getaffinity(0)))
    return min(machine, _quota(groups) or machine)


def _quota(groups: Path) -> float | None:
    """Return what the control group allows; None when it sets no limit, or does not say.

    Source: Linux, cgroup-v2.rst (``cpu.max``) and sched-bwc.rst (``cpu.cfs_quota_us``).
    """
    try:
        quota, period = (groups / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (groups / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (groups / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
