"""What Prometheus is told."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from trainshed.api.answered import RequestTally
from trainshed.api.families import FAMILIES
from trainshed.api.measuring import FolderSize, LoopLag
from trainshed.api.metrics import Metrics, Sources
from trainshed.domain.training import SecondaryStatus, TrainingJobStatus
from trainshed.stores.figures import QUICK, Histogram, WriteTally
from trainshed.stores.records.survey import Checkpoints, Standing, Waiting
from trainshed.stores.records.tally import JobTally
from trainshed.testing.jobs import NOON
from trainshed.wire.front import Answered

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Records:
    async def counts(self) -> Mapping[TrainingJobStatus, int]:
        return {TrainingJobStatus.COMPLETED: 7}


async def nothing() -> Standing:
    return Standing()


async def no_bytes() -> int:
    return 0


def sources(folder: Path) -> Sources:
    """Return what a server tells of that has done nothing yet."""
    return Sources(
        version="1.2.3",
        server=lambda: "",
        records=Records(),
        survey=nothing,
        jobs=JobTally(),
        requests=RequestTally(),
        report_lag=Histogram(QUICK),
        writes=WriteTally(),
        engine_lag=lambda: 0.25,
        duty=lambda: (True, 3),
        capacity={"local": 4},
        object_bytes=no_bytes,
        data=folder,
        logs=FolderSize(folder),
        clock=lambda: NOON,
    )


async def told(asked: Sources) -> Samples:
    text = (await Metrics(asked).text()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


async def test_a_server_without_jobs_tells_how_it_stands_itself(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"12345")
    found = await told(sources(tmp_path))
    assert value(found, "trainshed_info", version="1.2.3") == 1
    assert value(found, "trainshed_training_jobs", status="Completed") == 7
    assert value(found, "trainshed_training_jobs", status="Failed") == 0
    assert value(found, "trainshed_engine_lag_seconds") == 0.25
    assert value(found, "trainshed_scheduler") == 1
    assert value(found, "trainshed_owned_jobs") == 3
    assert value(found, "trainshed_backend_nodes", backend="local") == 0
    assert value(found, "trainshed_backend_nodes_max", backend="local") == 4
    assert value(found, "trainshed_log_bytes") == 5
    assert value(found, "trainshed_disk_free_bytes") > 0
    assert value(found, "process_resident_memory_bytes") > 0
    assert value(found, "process_cpu_seconds_total") > 0


async def test_the_queue_is_told_by_where_for_whom_and_why_with_its_oldest(tmp_path: Path) -> None:
    since = (NOON - timedelta(minutes=2)).timestamp()
    standing = Standing(
        waiting={
            ("local", "", "capacity"): Waiting(jobs=2, since=since),
            ("local", "", "quota"): Waiting(jobs=1, since=since + 60),
            ("gpus", "vision", "new"): Waiting(jobs=1, since=since + 3600),
        },
        nodes=Counter({"gone": 2}),
        statuses=Counter({SecondaryStatus.PENDING: 3}),
        pools=Counter({"Available": 1}),
    )

    async def survey() -> Standing:
        return standing

    found = await told(replace(sources(tmp_path), survey=survey))
    queue = "trainshed_queue_jobs"
    assert value(found, queue, backend="local", project="", reason="capacity") == 2
    assert value(found, queue, backend="gpus", project="vision", reason="new") == 1
    oldest = "trainshed_queue_oldest_seconds"
    assert value(found, oldest, backend="local", project="") == 120
    assert value(found, oldest, backend="gpus", project="vision") == 0
    assert value(found, "trainshed_open_jobs", status="Pending") == 3
    assert value(found, "trainshed_backend_nodes", backend="gone") == 2
    assert value(found, "trainshed_warm_pools", status="Available") == 1


async def test_checkpoints_tell_how_late_they_are(tmp_path: Path) -> None:
    late = Checkpoints(job="a", host="algo-1", since=NOON.timestamp() - 90, size=5)
    fine = Checkpoints(job="b", host="algo-1", since=0.0, size=6)

    async def survey() -> Standing:
        return Standing(checkpoints=[late, fine])

    found = await told(replace(sources(tmp_path), survey=survey))
    lag = "trainshed_checkpoint_lag_seconds"
    assert value(found, lag, job="a", host="algo-1") == 90
    assert value(found, lag, job="b", host="algo-1") == 0
    assert value(found, "trainshed_checkpoint_bytes", job="b", host="algo-1") == 6


async def test_what_passed_is_told_as_counters_and_histograms(tmp_path: Path) -> None:
    asked = sources(tmp_path)
    asked.jobs.attempts["local", "interrupted"] += 2
    asked.jobs.phases[SecondaryStatus.TRAINING] = Histogram((1.0, 60.0))
    asked.jobs.phases[SecondaryStatus.TRAINING].note(30.0)
    asked.writes.batch.note(3)
    asked.report_lag.note(0.2)
    answered = Answered(
        request_id="", service="sagemaker", operation="ListTrainingJobs", method="POST",
        path="/", status=200, seconds=0.003, access_key="K",
    )  # fmt: skip
    asked.requests.note(answered)
    found = await told(asked)
    attempts = "trainshed_attempts_total"
    assert value(found, attempts, backend="local", outcome="interrupted") == 2
    phase = "trainshed_phase_seconds"
    assert value(found, f"{phase}_bucket", phase="Training", le="1.0") == 0
    assert value(found, f"{phase}_bucket", phase="Training", le="60.0") == 1
    assert value(found, f"{phase}_sum", phase="Training") == 30
    assert value(found, "trainshed_record_write_batch_sum") == 3
    assert value(found, "trainshed_report_lag_seconds_count") == 1
    requests = "trainshed_requests_total"
    names = {"service": "sagemaker", "operation": "ListTrainingJobs", "status": "200"}
    assert value(found, requests, **names) == 1
    assert value(found, "trainshed_request_seconds_count", service="sagemaker") == 1


async def test_every_family_is_told_and_no_other(tmp_path: Path) -> None:
    text = (await Metrics(sources(tmp_path)).text()).decode()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    ours = [name for name in names if not name.startswith("process_")]
    assert ours == [family.name for family in FAMILIES]


async def test_what_is_of_one_of_several_servers_says_of_which(tmp_path: Path) -> None:
    found = await told(replace(sources(tmp_path), server=lambda: "abc"))
    assert value(found, "trainshed_scheduler", server="abc") == 1
    assert value(found, "trainshed_record_write_seconds_count", server="abc") == 0
    assert value(found, "process_resident_memory_bytes", server="abc") > 0
    assert value(found, "trainshed_training_jobs", status="Completed") == 7


async def test_a_folder_is_looked_through_again_only_after_a_while(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"123")
    lasting, anew = FolderSize(tmp_path), FolderSize(tmp_path, every=0.0)
    assert (await lasting.bytes(), await anew.bytes()) == (3, 3)
    (tmp_path / "b").write_bytes(b"4")
    assert (await lasting.bytes(), await anew.bytes()) == (3, 4)


async def test_the_event_loop_s_lag_is_measured_once_it_is_asked_for() -> None:
    lag = LoopLag()
    assert lag.seconds.count == 0
    lag.begin()
    lag.begin()
    assert lag.seconds.count == 1


async def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert await FolderSize(tmp_path / "none").bytes() == 0


async def test_an_answer_over_many_jobs_is_written_beside_the_event_loop(tmp_path: Path) -> None:
    each = [Checkpoints(job=f"j{n}", host="algo-1", since=0.0, size=n) for n in range(3000)]

    async def survey() -> Standing:
        return Standing(checkpoints=each)

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        other = group.create_task(others())
        await Metrics(replace(sources(tmp_path), survey=survey)).text()
        other.cancel()
    assert turns > 10
