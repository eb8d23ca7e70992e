"""How much of the longest tests is done: all of it, or the share that TRAINSHED_SHARE says.

CI says a tenth. The same code runs, and what must hold is the same; only chances are fewer.
"""

import os

SHARE = float(os.environ.get("TRAINSHED_SHARE", "1"))
EXAMPLES = max(20, round(100 * SHARE))
"""Hypothesis's, where a test asks for no number of its own."""


def share(count: int, of: int = 1) -> int:
    """Return the share of a count, in whole groups ``of`` so many, but one of them at least."""
    return max(1, round(count * SHARE / of)) * of
