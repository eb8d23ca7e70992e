"""When keeping checkpoints is late: one rule for the node, the job's status and whoever alerts."""

from typing import Final

INTERVAL_S: Final = 30.0
"""The sync interval: a file that a job has closed is in the store within it, while all is well.
Where looking at a huge folder takes long, the node says a longer one (fact ``checkpoint``)."""
_INTERVALS: Final = 2


def is_late(lag_s: float, interval_s: float = INTERVAL_S) -> bool:
    """Tell whether what was saved so long ago should long have been kept: for over two intervals.

    Args:
        lag_s: since when the oldest change waits that the store does not have.
        interval_s: the node's sync interval.
    """
    return lag_s > _INTERVALS * interval_s
