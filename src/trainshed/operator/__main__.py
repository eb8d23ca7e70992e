"""``python -m trainshed.operator``: the operator, until it is asked to end."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from trainshed.operator import clock, log_lines, settings
from trainshed.operator.reconcile import Passing
from trainshed.operator.run import Operator


def main(arguments: Sequence[str], passing: Passing = lambda _: None) -> int:
    """Run an operator; return its exit code."""
    told = settings.read(arguments)
    log_lines.configure(told.log_format, told.log_level)
    return asyncio.run(_run(told, passing))


async def _run(told: settings.Settings, passing: Passing) -> int:
    return await Operator(told, clock=clock.now, passing=passing).run()


def leave(code: int) -> None:
    """End this process, without waiting for threads that wait for a service."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
