"""10,000 jobs that run and 10,000 that wait: what one pass of the scheduler costs, and one change.

``python -m bench.queue``: processor time, not time by the clock; a busy machine changes little.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from trainshed.engine.scheduling import (
    Board,
    Group,
    Place,
    Policy,
    Project,
    Running,
    Waiting,
    queue_view,
    schedule,
)

JOBS: Final = 10_000
ROUNDS: Final = 9
NOW: Final = 20_000.0
FEW: Final = (3600.0, 7200.0, 86400.0)
"""MaxRuntimeInSeconds that people type; else each job has one of its own."""
ARN: Final = "arn:aws:sagemaker:us-east-1:123456789012:training-job"


def full_house(runtimes: Sequence[float]) -> Board:
    """Return a place whose nodes are all in use, and as many jobs in line."""
    random = Random(1)
    projects = {f"p{n}": Project(name=f"p{n}", weight=n + 1, max_gpus=500) for n in range(8)}
    board = Board({"place": Place(name="place", nodes=JOBS)}, Policy(projects=projects))
    board.now = NOW
    for n in range(JOBS):
        project, width = f"p{n % 8}", random.choice([1, 2, 4, 8])
        one = board.need("place", (("ml.m5.large", 1),), spot=False, instance_type="")
        running = Running(
            arn=f"{ARN}/runs-{n}",
            backend="place",
            project=project,
            need=one,
            started=float(n),
            ends=NOW + random.uniform(0, 36_000),
            priority=random.choice([10, 50]),
            preemptible=n % 3 == 0,
        )
        board.run(running)
        group = Group(
            backend="place",
            project=project,
            priority=random.choice([20, 50, 60]),
            needs=(board.need("place", (("ml.m5.large", width),), spot=False, instance_type=""),),
            runtime=random.choice(runtimes),
        )
        since = n / 100
        waiting = Waiting(
            arn=f"{ARN}/waits-{n}", group=board.group(group), created=since, since=since
        )
        board.wait(waiting)
    return board


def main() -> None:
    """Measure, and print a line for each."""
    for name, runtimes in (("few", FEW), ("as many as jobs", [float(n) for n in range(1, 10**6)])):
        board = full_house(runtimes)
        groups = len(schedule(board, NOW).reasons)
        passes = [_milliseconds(lambda board=board: schedule(board, NOW)) for _ in range(ROUNDS)]
        views = [
            _milliseconds(lambda board=board: queue_view(board, NOW, most=1000)) for _ in range(3)
        ]
        print(
            f"different wishes: {name} ({groups}); a pass {statistics.median(passes):.1f} ms, "
            f"the first 1,000 of the line for people {statistics.median(views):.0f} ms"
        )
    arn, job = next((arn, user) for arn, user in board.users.items() if isinstance(user, Running))

    def change() -> None:
        for _ in range(1000):
            board.forget(arn)
            board.run(job)

    print(f"a job that goes and one that comes: {_milliseconds(change):.1f} us")


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


if __name__ == "__main__":
    main()
