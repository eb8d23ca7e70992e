"""A folder that libfuse asks us about: mounted, read-only, and kept in the kernel's cache.

The only module that loads mfusepy, which loads libfuse.
"""

import contextlib
import errno
import os
import stat
import threading
from pathlib import Path
from typing import Any, Final

from trainshed.agent.feeding import mounting

# Else it looks for libfuse 2 first, with the help of ldconfig and a compiler.
os.environ.setdefault("FUSE_LIBRARY_PATH", mounting.library())

import mfusepy  # type: ignore[import-untyped]

FOREVER_S: Final = 7 * 24 * 3600
"""How long the kernel may believe what it was told: what we tell never changes."""
_REQUEST: Final = 1 << 20
"""Bytes that the kernel asks for at once; the most it can."""
_AHEAD_KB: Final = 4096
"""How far the kernel reads ahead; its own is 128, so that each request would be small."""
_THREADS: Final = 64
_IDLE_THREADS: Final = 10
_THREADS_SINCE: Final = 12
"""The minor version of libfuse 3 that knows how to be told a number of threads."""
_NANO: Final = 1_000_000_000
_BLOCK: Final = 512


class View(mfusepy.Operations):  # type: ignore[misc]
    """What libfuse asks; subclasses answer. Called in threads of libfuse's."""

    use_ns = True

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._owner = {"st_uid": os.geteuid(), "st_gid": os.getegid()}

    def init_with_config(self, conn_info: Any, config_3: Any) -> None:  # noqa: ANN401 - C structs
        """Tell libfuse how we would like it; see ``mfusepy.Operations``."""
        conn_info.max_read = _REQUEST
        conn_info.max_readahead = _REQUEST
        config_3.kernel_cache = 1
        config_3.use_ino = 1
        for name in ("entry_timeout", "negative_timeout", "attr_timeout"):
            setattr(config_3, name, float(FOREVER_S))
        self.begun.set()

    def folder(self, modified: float, number: int = 1) -> dict[str, int]:
        """Return what stat tells of a folder."""
        return {**self._owner, **_times(modified), "st_ino": number, "st_nlink": 2,
                "st_mode": stat.S_IFDIR | 0o755}  # fmt: skip

    def file(self, size: int, modified: float, number: int) -> dict[str, int]:
        """Return what stat tells of a file."""
        return {**self._owner, **_times(modified), "st_ino": number, "st_nlink": 1,
                "st_mode": stat.S_IFREG | 0o644, "st_size": size,
                "st_blocks": -(-size // _BLOCK)}  # fmt: skip


class Mounted:
    """A view, mounted once this is made; it ends by being unmounted."""

    def __init__(self, view: View, place: Path) -> None:
        """Mount ``view`` at a folder that is there.

        Raises:
            OSError: it can't be done; libfuse has said why on stderr.
        """
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(view, place), daemon=True)
        self._thread.start()
        while not view.begun.wait(0.02):
            if not self._thread.is_alive():
                raise OSError(errno.EIO, f"no view can be mounted at {place}: {self._failure}")
        _read_far_ahead(place)

    def wait(self) -> None:
        """Return when it was unmounted, and all that was asked is answered."""
        self._thread.join()

    def ended(self, within_s: float) -> bool:
        """Wait for its end; tell whether it came."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self, view: View, place: Path) -> None:
        options: dict[str, Any] = {"max_read": _REQUEST, "fsname": "trainshed", "ro": True}
        if mfusepy.fuse_version_minor >= _THREADS_SINCE:
            options |= {"max_threads": _THREADS, "max_idle_threads": _IDLE_THREADS}
        if mounting.allows_others():
            options["allow_other"] = True
        try:
            mfusepy.FUSE(view, str(place), foreground=True, default_permissions=True,
                         subtype="fastfile", **options)  # fmt: skip
        except (RuntimeError, OSError) as error:
            self._failure = error


def _times(modified: float) -> dict[str, int]:
    moment = int(modified * _NANO)
    return {"st_mtime": moment, "st_ctime": moment, "st_atime": moment}


def _read_far_ahead(place: Path) -> None:
    """Have the kernel ask for much at once, where we may tell it so."""
    device = place.stat().st_dev
    bdi = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
    with contextlib.suppress(OSError):
        bdi.write_text(str(_AHEAD_KB))
