"""``python -m trainshed.testing.chaos``: kill everything, often, and see that nothing is lost.

    python -m trainshed.testing.chaos --seed 7 --kills 1000 --minutes 40
    python -m trainshed.testing.chaos --seed 7 --round 3          one round of that run again
    python -m trainshed.testing.chaos --scenario two-servers --minutes 5

Exit code 0 when everything was shown that was asked for, and no promise was broken. See
docs/how-to/break-it-on-purpose.md.
"""

import argparse
import json
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trainshed.testing.chaos.report import Goal, Report
from trainshed.testing.chaos.rounds import POSTGRESQL, SQLITE, Outcome, Task, play
from trainshed.testing.chaos.schedule import Strike

_EVERY_S: Final = 1.2
_LAST_S: Final = 60.0
"""What is left of the time when no further round is begun."""
_LONGEST_S: Final = 150.0
_SHORTEST_S: Final = 30.0
_OVERHEAD_S: Final = 45.0
"""What a round takes besides, to begin and to come to its end."""


def main(arguments: list[str]) -> int:
    """Run; print the report; return the exit code."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    _say(f"seed {seed}")
    goal = Goal(kills=asked.kills, every_point=asked.every_point)
    rounds: list[Outcome] = []
    end = time.monotonic() + asked.minutes * 60
    report = Report(seed, goal, rounds)
    for task in _tasks(asked, seed, end, report):
        rounds.append(_played(task))
        _say("\n".join(rounds[-1].told()))
        if asked.scenario == "all" and len(rounds) % 2 == 0 and not report.shortcomings:
            break
    text = json.dumps(report.json(), indent=1) if asked.json else "\n".join(report.text())
    sys.stdout.write(f"{text}\n")
    return 0 if report.passed else 1


def _tasks(asked: argparse.Namespace, seed: int, end: float, report: Report) -> Iterator[Task]:
    """Yield the rounds there is time for; ``report`` is of those that were played.

    Once there were kills enough, lives end where none has ended yet.
    """
    if asked.scenario == "two-servers":
        yield Task(
            seed=f"{seed}/1",
            database=POSTGRESQL,
            seconds=asked.minutes * 60,
            every=10.0,
            only=Strike.SERVER,
        )
        return
    number = 0
    while (left := end - time.monotonic()) > _LAST_S or number < len((SQLITE, POSTGRESQL)):
        number += 1
        rest = left / 2 if number == 1 else left
        seconds = max(_SHORTEST_S, min(_LONGEST_S, rest - _OVERHEAD_S))
        database = (POSTGRESQL, SQLITE)[number % 2]
        if asked.round in {0, number}:
            lacking = asked.points or (report.unstruck if report.lacks_only_points else ())
            yield Task(
                seed=f"{seed}/{number}",
                database=database,
                seconds=seconds,
                every=_EVERY_S,
                points=tuple(lacking),
            )
        if number == asked.round:
            return


def _played(task: Task) -> Outcome:
    """Play a round in a folder that is kept when something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="trainshed-chaos-"))
    outcome = play(task, folder)
    if outcome.violations:
        _say(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return outcome


def _say(text: str) -> None:
    """Tell how it goes, beside the report."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainshed.testing.chaos")
    parser.add_argument("--seed", type=int, help="repeats a run; by default any")
    parser.add_argument("--kills", type=int, default=0, help="how many there must be")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long it may take")
    parser.add_argument("--every-point", action="store_true", help="each must have killed somebody")
    parser.add_argument("--round", type=int, default=0, help="only this one of the run")
    parser.add_argument(
        "--points", type=lambda text: text.split(","), default=[], help="have lives end only there"
    )
    parser.add_argument("--scenario", choices=["all", "two-servers"], default="all")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
