"""A disk that runs full: nothing half is left, what is there is read, what is removed goes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DISK = 48 << 20


def test_a_store_lives_through_a_full_disk(tmp_path: Path) -> None:
    small = ["bwrap", "--dev-bind", "/", "/", "--size", str(DISK), "--tmpfs", str(tmp_path)]
    program = [sys.executable, "-m", "tests.stores.objects.full_disk", str(tmp_path)]
    ended = subprocess.run(
        [*small, "--chdir", str(ROOT), *program], capture_output=True, timeout=100, check=False
    )
    assert ended.stdout == b"well\n", ended.stderr.decode()
