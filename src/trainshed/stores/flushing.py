"""What it takes, beside flushing a file itself, that a new name survives a power cut."""

import os
from pathlib import Path


def flush_folder(folder: Path) -> None:
    """Return once the names in ``folder`` are on disk as they are now."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
