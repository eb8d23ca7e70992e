"""How many processors a container may use, by either version of control groups."""

import os
from pathlib import Path

import pytest

from trainshed.toolkit.launchers import processors

MACHINE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "usable"),
    [
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, MACHINE),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, MACHINE),
        ({"cpu.max": "99999900000 100000\n"}, MACHINE),
        ({}, MACHINE),
    ],
)
def test_a_control_group_allows_less_than_the_machine_has(
    tmp_path: Path, files: dict[str, str], usable: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert processors.usable(tmp_path) == min(usable, MACHINE)
