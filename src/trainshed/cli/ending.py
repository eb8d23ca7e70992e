"""``trainshed wait``, ``stop`` and ``rm``: the end of jobs."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

from trainshed.cli import exits, live, output, parsing, session
from trainshed.cli.options import DataDir, Job, Jobs, Quiet
from trainshed.client import references
from trainshed.client.errors import ClientError
from trainshed.client.follow import ENDED, Follower, Over, follow


def wait(
    job: Job,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="Give up after 90s, 2h, ….")
    ] = "",
    quiet: Quiet = False,
    data_dir: DataDir = None,
) -> None:
    """Wait until a job is over: exit code 0 completed, 3 failed, 4 stopped, 5 time limit."""
    limit = parsing.duration(timeout).total_seconds() if timeout else None
    api = session.connect(data_dir)
    name = references.resolve(api, job)["TrainingJobName"]
    follower = Follower(name, with_lines=False)
    for event in follow(follower, session.reconnect(data_dir), sleep=_sleep_until(name, limit)):
        if isinstance(event, Over):
            print(f"{output.status(event.job['TrainingJobStatus'])}  {name}")
            reason = event.job.get("FailureReason")
            if reason and not quiet:
                output.note(f"  reason   {reason.strip()}")
            raise typer.Exit(exits.of_job(event.job))


def stop(
    jobs: Jobs,
    waits: Annotated[bool, typer.Option("--wait", "-w", help="Return when they are over.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Ask jobs to stop. What they have saved is kept; a script has 120 s to save more."""
    api = session.connect(data_dir)
    asked = []
    for job in jobs:
        found = references.resolve(api, job)
        name = found["TrainingJobName"]
        if found["TrainingJobStatus"] in ENDED:
            output.note(f"{name} is over already ({found['TrainingJobStatus']})")
            continue
        api.call("sagemaker", "StopTrainingJob", {"TrainingJobName": name})
        print(f"asked {name} to stop")
        asked.append(name)
    for name in asked if waits else ():
        connect = session.reconnect(data_dir)
        view = live.PlainView(nodes=1, quiet=True)
        ended = live.watch(name, view, connect, quiet=True)
        print(f"{output.status(ended['TrainingJobStatus'])}  {name}")


def rm(jobs: Jobs, data_dir: DataDir = None) -> None:
    """Delete jobs that are over. What they made stays in its bucket."""
    api = session.connect(data_dir)
    # All before any is gone: @-2 would mean another job after @last was deleted.
    names = [references.resolve(api, job)["TrainingJobName"] for job in jobs]
    for name in dict.fromkeys(names):
        api.call("sagemaker", "DeleteTrainingJob", {"TrainingJobName": name})
        print(f"deleted {name}")


def _sleep_until(name: str, limit: float | None) -> Callable[[float], None]:
    began = time.monotonic()

    def sleep(seconds: float) -> None:
        if limit is not None and time.monotonic() - began > limit:
            raise ClientError(
                f"{name} is not over after {output.span(limit)}; it goes on",
                f"trainshed wait {name}",
            )
        time.sleep(seconds)

    return sleep
