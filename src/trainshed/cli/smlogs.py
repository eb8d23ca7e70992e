"""``kubectl-smlogs``: what kubectl finds on the path, and runs as ``kubectl smlogs``.

Exit codes are those of ``trainshed``: 0 the log was shown or, with ``-f``, the job completed; 3 it
failed; 4 it was stopped; 5 its time was up; 6 no server answers; 7 there is no such object.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from typing import Final, TextIO

from trainshed.app import clock
from trainshed.cli import exits
from trainshed.client.errors import ClientError, JobNotFound, ServerUnreachable
from trainshed.domain.errors import TrainshedError
from trainshed.operator.smlogs import words
from trainshed.operator.smlogs.subjects import Mistyped

_SIGPIPE: Final = 141
"""What a shell shows for a program that nobody listens to any more."""


def main() -> int:
    """Carry out the command line and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a job's words must not end us where they can't show
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(sys.argv[1:], os.environ, sys.stdout, sys.stderr)
    except BrokenPipeError:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGPIPE


def run(typed: Sequence[str], environment: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Carry out what was typed behind ``kubectl smlogs``, and return the exit code.

    Raises:
        BrokenPipeError: nobody listens to ``out`` any more.
    """
    try:
        return _shown(typed, environment, out, err)
    except TrainshedError as error:
        print(f"error: {error}", file=err)
        if isinstance(error, ClientError) and error.remedy:
            print(f"do: {error.remedy}", file=err)
        return _code_of(error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED


def _shown(typed: Sequence[str], environment: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    asked = words.read(typed, clock.now())
    try:
        # Measured: four fifths of the start. And it comes with an extra, which may be missing.
        from trainshed.operator.smlogs import (  # noqa: PLC0415
            choice,
            cluster,
            command,
            kubeconfig,
            lines,
        )
    except ModuleNotFoundError as error:
        raise ClientError(
            f"the package {error.name} is not installed", "pip install 'trainshed[kubernetes]'"
        ) from error
    place = kubeconfig.find(asked.place, environment)
    layout = lines.Layout(stream=asked.shows_stream, time=asked.shows_time)
    with ExitStack() as opened:
        there = cluster.Cluster(place, asked.timeout)
        opened.callback(there.close)
        namespace = asked.server_namespace or environment.get("TRAINSHED_NAMESPACE", "")
        sources = choice.Choice(cluster=there, namespace=namespace, now=clock.now)
        opened.callback(sources.close)
        ended = command.Show(
            asked=asked,
            cluster=there,
            choice=sources,
            terminal=command.Terminal(out=out, err=err, layout=layout),
            sleep=time.sleep,
        ).run()
    if ended is None:
        return exits.OK
    job = {"TrainingJobStatus": ended.status, "SecondaryStatus": ended.secondary}
    if code := exits.of_job(job):
        why = f": {ended.additional}" if ended.additional else ""
        print(f'"{ended.name}" {ended.status}{why}', file=err)
        return code
    return exits.OK


def _code_of(error: TrainshedError) -> int:
    if isinstance(error, ServerUnreachable):
        return exits.UNREACHABLE
    if isinstance(error, JobNotFound):
        return exits.NOT_FOUND
    if isinstance(error, Mistyped):
        return exits.USAGE
    return exits.ERROR
