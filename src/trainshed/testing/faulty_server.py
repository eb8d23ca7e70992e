r"""``python -m trainshed.testing.faulty_server``: the real server, with faults at named points.

It is built by ``app.build`` and served by ``app.serve``; only what stands around its parts differs.
Its agents may have faults of their own. See ``testing.faults.plan`` for how a plan is written::

    python -m trainshed.testing.faulty_server --data-dir /tmp/shed --port 0 \
      --faults "seed=7; records.swap.after#3=crash; *~400=delay:0.2" \
      --agent-faults "journal.append.torn~20=crash" --life 2 --noted /tmp/shed/struck
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from trainshed.app import clock, serve
from trainshed.testing.faults.clock import JumpingClock
from trainshed.testing.faults.faults import Faults
from trainshed.testing.faults.process import faults
from trainshed.testing.faults.reports import FaultyReports
from trainshed.testing.faults.wrapping import through

T = TypeVar("T")


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM, or until a fault ends the process."""
    asked = _parser().parse_args(arguments)
    wrong = JumpingClock(clock.now)
    hurt = faults(asked.faults, asked.life, asked.noted, wrong.jump)
    agent = [sys.executable, "-I", "-m", "trainshed.testing.faulty_agent"]
    agent += ["--faults", asked.agent_faults]
    agent += ["--noted", str(asked.noted)] if asked.noted else []

    def around(what: str, part: T, /) -> T:
        return cast("T", _around(what, part, hurt, wrong, agent))

    ready = partial(print, "trainshed  ready ", flush=True)
    serve.run(asked.data_dir, asked.port, "127.0.0.1", ready, around=around)
    return 0


def _around(what: str, part: object, hurt: Faults, wrong: JumpingClock, agent: list[str]) -> object:
    match what:
        case "agent":
            return agent
        case "clock":
            return wrong
        case "reports":
            return FaultyReports(cast("FaultyReports", part), hurt)
        case _:
            return through(hurt, what, part)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainshed.testing.faulty_server")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--faults", default="", help="the server's plan")
    parser.add_argument("--agent-faults", default="", help="the plan of each of its agents")
    parser.add_argument("--life", type=int, default=1, help="which start of this server it is")
    parser.add_argument("--noted", type=Path, help="a file that gets a line for each fault")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
