r"""``python -m trainshed.testing.faulty_operator``: the real operator, with faults at named points.

Only ``crash`` can be had here: the process is gone, as by ``kill -9``. Points are what it does
outside, ``operator.<what>.before`` and ``.after``: ``metadata``, ``status``, ``event``, and the
operations of the service. All arguments that are not its own are the operator's::

    python -m trainshed.testing.faulty_operator --life 2 --noted /tmp/struck \
      --faults "operator.CreateTrainingJob.after#1=crash" --namespace default
"""

import argparse
import sys
from pathlib import Path

from trainshed.operator.__main__ import leave
from trainshed.operator.__main__ import main as operate
from trainshed.testing.faults.process import faults


def main(arguments: list[str]) -> int:
    """Operate until SIGTERM, or until a fault ends the process."""
    parser = argparse.ArgumentParser(prog="python -m trainshed.testing.faulty_operator")
    parser.add_argument("--faults", default="", help="the plan")
    parser.add_argument("--life", type=int, default=1, help="which start of this operator it is")
    parser.add_argument("--noted", type=Path, help="a file that gets a line for each fault")
    asked, rest = parser.parse_known_args(arguments)
    return operate(rest, faults(asked.faults, asked.life, asked.noted).at)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
