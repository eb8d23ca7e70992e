"""Has our toolkit built as one file, for images that have none.

The toolkit is a stranger to the agent: its own program builds it.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from trainshed.agent.node import NodeOver
from trainshed.domain.facts import Outcome

PACKAGE: Final = Path(__file__).parents[2]
ANY_PYTHON: Final = "any-python"
"""Instead of a first line: a program for whatever Python is found where it is started."""
_BUILDER: Final = PACKAGE / "toolkit" / "archive.py"
_BUILD_S: Final = 60.0


def build(target: Path, first_line: str) -> None:
    """Write the program ``train``; the same bytes for the same first line.

    Raises:
        NodeOver: it can't be built.
    """
    ran = subprocess.run(
        [sys.executable, "-I", str(_BUILDER), str(target), first_line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    if ran.returncode:
        raise NodeOver(
            Outcome.LOST,
            f"InternalServerError: the training toolkit could not be built: {ran.stderr[-500:]}",
        )
