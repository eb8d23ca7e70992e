"""``python -m trainshed.agent.feeding.trial <folder>``: mounts a view of nothing, and looks at it.

A process of its own, since what goes wrong in libfuse is said on stderr, and may go wrong badly.
"""

import sys
from pathlib import Path

from trainshed.agent.feeding import mounting
from trainshed.agent.feeding.view import Mounted, View


class _Nothing(View):
    """A folder with nothing in it."""

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Return what stat tells of a path."""
        return self.folder(0.0)


def main(arguments: list[str]) -> int:
    """Return 0 when it worked; say on stderr why it did not."""
    place = Path(arguments[0])
    try:
        mounted = Mounted(_Nothing(), place)
        try:
            place.stat()
        finally:
            mounting.unmount_below(place)
            mounted.wait()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
