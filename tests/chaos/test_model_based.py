"""The engine, its records and its agents, hurt in every way there is, against a simple model.

Time is virtual. What happens is Hypothesis's choice, so what fails is made as small as it can be.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.chaos.shed import OneServer, Shed

from trainshed.domain.errors import DriverError, NoCapacity
from trainshed.domain.facts import Kind, Outcome
from trainshed.domain.training import TrainingJobStatus
from trainshed.testing.faults.plan import Do, Fault
from trainshed.testing.faults.wrapping import PARTS, lawful, points
from trainshed.testing.jobs import job
from trainshed.testing.simulation.clock import VirtualClock, VirtualLoop

ROUNDS = 400
"""How often all agents may act, and two seconds pass, before what hangs is called hanging."""
POINTS = [point for part in PARTS for point in points(part)]
ACTS = [point for point in POINTS if point.startswith(("driver.", "records.swap"))]
LASTING = {Do.DELAY: 3.0, Do.PAUSE: 15.0, Do.JUMP: -600.0}
_OVER = frozenset(
    {TrainingJobStatus.COMPLETED, TrainingJobStatus.FAILED, TrainingJobStatus.STOPPED}
)

which = st.integers(0, 7)


@dataclass
class Expected:
    """What a job may come to."""

    nodes: int
    wished: bool = False
    """Somebody wants it stopped, and was told that it will be."""
    failed: bool = False
    """Its program failed."""
    hurt: bool = False
    """Something happened to its nodes, or may have."""
    over: tuple[str, str] | None = None
    """Status and reason, once it was seen to be over."""


class Chaos(RuleBasedStateMachine):
    """Two servers, four nodes, a handful of jobs."""

    servers = 2

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.loop = VirtualLoop(self.clock)
        self.shed = self.do(self.build())
        self.jobs: dict[str, Expected] = {}
        self.ids: dict[str, str] = {}
        self.refusing = False

    async def build(self) -> Shed:
        return Shed(self.clock, servers=self.servers)

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(what)

    def server(self, number: int) -> OneServer:
        return self.shed.servers[number % len(self.shed.servers)]

    def node(self, number: int) -> str | None:
        nodes = self.shed.speakers()
        return nodes[number % len(nodes)] if nodes else None

    def expected(self, node_id: str) -> Expected:
        return self.jobs[self.ids[node_id.split(".", maxsplit=1)[0]]]

    @initialize()
    def begin(self) -> None:
        async def starting() -> None:
            for server in self.shed.servers:
                server.start()
            await asyncio.sleep(1)

        self.do(starting())
        self.create(nodes=1, retries=1, spot=False)
        self.create(nodes=2, retries=0, spot=True)

    @precondition(lambda self: len(self.jobs) < 6)
    @rule(
        nodes=st.integers(1, 2), retries=st.integers(0, 2), spot=st.booleans(), ends=st.booleans()
    )
    def create(self, nodes: int, retries: int, spot: bool, ends: bool = True) -> None:
        number = len(self.jobs) + 1
        members: dict[str, Any] = {}
        if retries:
            members["RetryStrategy"] = {"MaximumRetryAttempts": retries}
        if spot:
            members["EnableManagedSpotTraining"] = True
        now = self.clock.now()
        new = job(f"job-{number}", nodes=nodes, **members)
        new = replace(new, id=f"{number:012x}", created=now, modified=now)
        new = replace(new, transitions=(replace(new.transitions[0], start=now),))
        assert self.do(self.shed.records.add(new, {}))
        self.jobs[new.arn] = Expected(nodes=nodes)
        if not ends:
            self.shed.place.endless.add(new.id)
        self.ids[new.id] = new.arn

    @precondition(lambda self: self.jobs)
    @rule(number=which)
    def stop(self, number: int) -> None:
        arn = sorted(self.jobs)[number % len(self.jobs)]
        if self.do(self.shed.wish_stop(arn)):
            self.jobs[arn].wished = True

    @rule(number=which, steps=st.integers(1, 5), fails=st.booleans())
    def node_goes_on(self, number: int, steps: int, fails: bool) -> None:
        node = self.node(number)
        if node is None:
            return
        for _ in range(steps):
            self.shed.place.advance(node, self.clock.now().timestamp(), fails=fails)
        exited = [fact for fact in self.shed.place.journals[node] if fact.kind is Kind.EXITED]
        if exited and exited[0].detail["exit_code"]:
            self.expected(node).failed = True

    @rule(number=which, server=which, lost=st.booleans(), times=st.integers(1, 2))
    def node_reports(self, number: int, server: int, lost: bool, times: int) -> None:
        node = self.node(number)
        if node is not None:
            self.do(self.shed.report(node, self.server(server), lost=lost, times=times))

    @rule(number=which)
    def a_report_is_slow(self, number: int) -> None:
        node = self.node(number)
        if node is not None:
            self.shed.delay(node)

    @rule(server=which)
    def slow_reports_arrive(self, server: int) -> None:
        self.do(self.shed.deliver(self.server(server)))

    @rule(number=which)
    def an_agent_dies(self, number: int) -> None:
        node = self.node(number)
        if node is not None:
            self.expected(node).hurt = True
            self.shed.place.lose(node)

    @rule(number=which)
    def a_node_is_taken(self, number: int) -> None:
        node = self.node(number)
        if node is not None:
            self.expected(node).hurt = True
            self.shed.place.take(node)

    @rule(how=st.sampled_from([None, NoCapacity("none left"), DriverError("no such place")]))
    def launches_are_refused(self, how: DriverError | None) -> None:
        self.shed.place.refuse = how
        self.refusing = self.refusing or isinstance(how, DriverError)

    @rule(server=which, point=st.integers(0, 255), how=which, nth=st.sampled_from([1, 1, 1, 2, 5]))
    def a_fault_happens(self, server: int, point: int, how: int, nth: int) -> None:
        """At an act, or somewhere where this server often is, or anywhere."""
        faults = self.server(server).faults
        among = (ACTS, ACTS, sorted(faults.points) or POINTS, POINTS)[point % 4]
        at = among[point // 4 % len(among)]
        dos = sorted(lawful(at))
        do = dos[how % len(dos)]
        faults.add(Fault(at=at, do=do, nth=nth, seconds=LASTING.get(do, 0.0)))
        self.life_goes_on(server, 1.0)

    @rule(
        server=which,
        what=st.sampled_from(["*", "records.*", "records.swap.*", "driver.*", "driver.launch.*"]),
        do=st.sampled_from([Do.CRASH, Do.CRASH, Do.PAUSE, Do.DELAY]),
        nth=st.integers(1, 12),
    )
    def a_server_is_hurt_soon(self, server: int, what: str, do: Do, nth: int) -> None:
        fault = Fault(at=what, do=do, nth=nth, seconds=LASTING.get(do, 0.0))
        self.server(server).faults.add(fault)
        self.life_goes_on(server + 1, 1.0, 4)

    @rule(server=which, seconds=st.sampled_from([0.1, 1.0, 3.0]), rounds=st.sampled_from([1, 8]))
    def life_goes_on(self, server: int, seconds: float, rounds: int = 1) -> None:
        """All agents see something and tell it; the engines have time for it."""
        for _ in range(rounds):
            self.do(self.shed.all_go_on(self.server(server)))
            self.do(asyncio.sleep(seconds))

    @rule(server=which)
    def a_server_is_killed(self, server: int) -> None:
        self.do(self.server(server).kill())

    @rule(server=which)
    def a_server_is_started(self, server: int) -> None:
        if not self.server(server).up:
            self.do(self.restart(self.server(server)))

    async def restart(self, server: OneServer) -> None:
        await server.kill()
        server.start()
        await asyncio.sleep(0.5)

    @rule(server=which, seconds=st.sampled_from([2.0, 6.0, 30.0]))
    def a_server_stands_still(self, server: int, seconds: float) -> None:
        async def pausing() -> None:
            self.server(server).faults.pause(seconds)

        self.do(pausing())

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @invariant()
    def nothing_is_run_twice(self) -> None:
        assert self.shed.place.crimes == []

    @invariant()
    def what_is_over_stays_as_it_ended(self) -> None:
        for arn, found in self.do(self.shed.jobs(self.jobs)).items():
            expected = self.jobs[arn]
            ended = (found.secondary.value, found.failure_reason)
            if expected.over is not None:
                assert ended == expected.over
            elif found.over:
                expected.over = ended
            if found.cleaned:
                left = {node for node in self.shed.place.computing if node.startswith(found.id)}
                assert left == set()

    @invariant()
    def what_was_acknowledged_is_in_the_records(self) -> None:
        for node_id, facts in self.shed.acknowledged.items():
            job_id, attempt, host = node_id.split(".")
            kept = self.do(self.shed.records.facts(job_id, int(attempt)))
            by_number = {fact.n: fact for fact in kept[host]}
            assert len(by_number) == len(kept[host])
            for number, fact in facts.items():
                assert by_number[number] == fact

    @invariant()
    def no_server_died_of_itself(self) -> None:
        for server in self.shed.servers:
            assert server.died_of() == []

    def teardown(self) -> None:
        try:
            self.do(self.calm())
            self.judge()
        finally:
            for server in self.shed.servers:
                self.do(server.kill())
            self.loop.close()

    async def calm(self) -> None:
        """Have nothing more go wrong, and let everything come to its end."""
        self.shed.place.refuse = None
        for server in self.shed.servers:
            await server.kill()
            server.start()
        await self.shed.deliver(self.shed.servers[0])
        for job_id in self.shed.place.endless:
            arn = self.ids[job_id]
            self.jobs[arn].wished |= await self.shed.wish_stop(arn)
        for _ in range(ROUNDS):
            await asyncio.sleep(2)
            await self.shed.all_go_on(self.shed.servers[0])
            found = await self.shed.jobs(self.jobs)
            if all(each.over and each.cleaned for each in found.values()):
                return
        hanging = {each.name: each.secondary.value for each in found.values() if not each.cleaned}
        raise AssertionError(f"these jobs never came to an end: {hanging}")

    def judge(self) -> None:
        """Compare what became of all jobs with what the model lets become of them."""
        self.nothing_is_run_twice()
        self.what_is_over_stays_as_it_ended()
        self.what_was_acknowledged_is_in_the_records()
        assert self.shed.place.computing == set()
        assert self.shed.place.living == {}
        found = self.do(self.shed.jobs(self.jobs))
        assert set(found) == set(self.jobs)
        for arn, one in found.items():
            expected = self.jobs[arn]
            assert one.status in _OVER
            if not (expected.hurt or expected.failed or self.refusing):
                wanted = {TrainingJobStatus.COMPLETED}
                if expected.wished:
                    wanted |= {TrainingJobStatus.STOPPED}
                assert one.status in wanted, (one.secondary, one.failure_reason)
            if one.status is TrainingJobStatus.STOPPED:
                assert expected.wished
            self.judge_end(one.id, one.status, expected)

    def judge_end(self, job_id: str, status: TrainingJobStatus, expected: Expected) -> None:
        """An attempt whose every node was told that its good end is taken is the job's last."""
        good: dict[int, int] = {}
        for node_id, facts in self.shed.acknowledged.items():
            if node_id.split(".")[0] == job_id and any(
                fact.kind is Kind.ENDED and fact.detail["outcome"] == Outcome.COMPLETED
                for fact in facts.values()
            ):
                attempt = int(node_id.split(".")[1])
                good[attempt] = good.get(attempt, 0) + 1
        launched = [int(node.split(".")[1]) for node in self.launched(job_id)]
        for attempt, nodes in good.items():
            if nodes == expected.nodes:
                assert max(launched) == attempt
                # Who can't have a launched node back gives it up, whatever it did meanwhile.
                assert status is TrainingJobStatus.COMPLETED or expected.wished or self.refusing

    def launched(self, job_id: str) -> list[str]:
        return [node for node in self.shed.place.launched if node.split(".")[0] == job_id]


class ChaosAlone(Chaos):
    """The same with one server, which knows that there is no other."""

    servers = 1


TestChaos = Chaos.TestCase
TestChaosAlone = ChaosAlone.TestCase
TestChaosAlone.settings = TestChaos.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
