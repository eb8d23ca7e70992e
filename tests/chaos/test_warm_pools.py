"""A server that dies or stands still at any point while nodes go from one job to the next."""

from dataclasses import replace

import pytest
from tests.chaos.shed import Shed

from trainshed.domain.training import TrainingJob, TrainingJobStatus, WarmPoolStatus
from trainshed.testing.faults.faults import Struck
from trainshed.testing.faults.plan import Do, Fault
from trainshed.testing.faults.wrapping import lawful
from trainshed.testing.jobs import job
from trainshed.testing.simulation.clock import VirtualClock, run

ROUNDS = 150
KEPT = {
    "InstanceType": "ml.m5.large",
    "InstanceCount": 1,
    "VolumeSizeInGB": 10,
    "KeepAlivePeriodInSeconds": 25,
}


def told(fault: Fault | None = None) -> tuple[Shed, list[TrainingJob], list[Struck]]:
    """Run two jobs one after the other, with a fault in the first server's first life."""

    async def main(clock: VirtualClock) -> tuple[Shed, list[TrainingJob], list[Struck]]:
        shed = Shed(clock, servers=2)
        first = shed.servers[0]
        first.start()
        if fault is not None:
            first.faults.add(fault)
        hurt = first.faults
        arns: list[str] = []
        jobs: list[TrainingJob] = []
        for turn in range(ROUNDS):
            found = [await shed.records.get(arn) for arn in arns]
            jobs = [each for each in found if each is not None]
            if len(arns) == 2 and all(each.settled for each in jobs):
                break
            if all(each.over and each.cleaned for each in jobs) and len(arns) < 2:
                made = job(f"job-{len(arns)}", ResourceConfig=KEPT)
                now = clock.now()
                opening = (replace(made.transitions[0], start=now),)
                made = replace(made, id=f"{len(arns):012x}", created=now, transitions=opening)
                assert await shed.records.add(replace(made, modified=now), {})
                arns.append(made.arn)
            await shed.pass_time(1.0)
            # The other takes over, also from one that stands still and then goes on.
            wanted = not first.up or (fault is not None and fault.do is Do.PAUSE)
            for server in shed.servers:
                if not server.up and (server is first or (wanted and turn > 2)):
                    server.start()
            await shed.all_go_on(shed.servers[turn % 2])
        await shed.pass_time(20.0)
        for server in shed.servers:
            await server.kill()
        passed = [Struck(point=p, passed=n, life=1, do=Do.CRASH) for p, n in hurt.counts()]
        return shed, jobs, passed

    return run(main)


def test_the_second_job_has_the_nodes_of_the_first() -> None:
    shed, (first, second), passed = told()
    assert first.pool is not None
    assert (first.pool.status, first.pool.reused_by) == (WarmPoolStatus.REUSED, second.arn)
    assert second.attempt is not None
    assert second.attempt.pool_chain == f"{first.id}.1"
    assert second.pool is not None
    assert second.pool.status is WarmPoolStatus.TERMINATED
    assert shed.place.kept == set()
    points = {each.point for each in passed}
    assert {"driver.release_pool.before", "driver.release_pool.after"} <= points


@pytest.mark.parametrize("do", [Do.CRASH, Do.FAIL, Do.PAUSE])
def test_nothing_is_kept_for_ever_whatever_befalls_a_server(do: Do) -> None:
    _, _, passed = told()
    for each in passed:
        if do not in lawful(each.point):
            continue
        for nth in sorted({1, 2, each.passed} & set(range(1, each.passed + 1))):
            fault = Fault(at=each.point, do=do, nth=nth, seconds=8.0 if do is Do.PAUSE else 0.0)
            shed, jobs, _ = told(fault)
            ends = [(each.status, each.settled) for each in jobs]
            assert ends == [(TrainingJobStatus.COMPLETED, True)] * 2, (str(fault), ends)
            assert shed.place.kept == set(), str(fault)
            assert shed.place.living == {}, str(fault)
