"""What the suite's images are: environments for the process runtime, built images for Docker."""

import shutil
import sys
from pathlib import Path

PROBE = Path(__file__).with_name("probe.py")


def settings(runtime: str, folder: Path) -> str:
    """Return a server's settings for a runtime, and make what its images need."""
    return _process(folder)


def _process(folder: Path) -> str:
    """Two environments: one with Python, one with a ``train`` as well."""
    for name in ("python", "train"):
        programs = folder / name / "bin"
        programs.mkdir(parents=True)
        for python in ("python", "python3"):
            (programs / python).symlink_to(sys.executable)
    train = folder / "train" / "bin" / "train"
    shutil.copy(PROBE, train)
    train.chmod(0o755)
    return f"""
[backends.local]
max_nodes = 12
[backends.local.images]
"trainshed-test/contract-train*" = "{folder}/train"
"*" = "{folder}/python"
"""
