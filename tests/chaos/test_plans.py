"""What goes wrong is said by a text, and goes wrong again by the same text."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.errors import DriverError, StoreError
from trainshed.drivers.base import Handle
from trainshed.stores.records.base import MaybeWritten
from trainshed.testing.drivers import FakeDriver
from trainshed.testing.faults.faults import Crashed, Faults
from trainshed.testing.faults.plan import Do, Fault, Plan
from trainshed.testing.faults.wrapping import PARTS, lawful, points, through
from trainshed.testing.simulation.clock import VirtualClock, run

SECONDS = st.sampled_from([0.0, 0.5, 30.0, -600.0])
FAULTS = st.one_of(
    st.builds(
        Fault,
        at=st.sampled_from(["records.swap.after", "driver.*", "*"]),
        do=st.sampled_from(Do),
        nth=st.integers(1, 9),
        life=st.integers(1, 3),
        seconds=SECONDS,
    ),
    st.builds(
        Fault,
        at=st.sampled_from(["leases.beat.before", "*"]),
        do=st.sampled_from(Do),
        one_in=st.integers(1, 900),
        seconds=SECONDS,
    ),
)


@given(st.builds(Plan, seed=st.integers(0, 99), faults=st.lists(FAULTS, max_size=4).map(tuple)))
def test_a_plan_that_was_printed_is_read_back_as_it_was(plan: Plan) -> None:
    assert Plan.parse(str(plan)) == plan


@pytest.mark.parametrize("text", ["records.swap.after", "a#0=crash", "a#1=burn", "a~0=crash"])
def test_a_text_that_says_nothing_that_can_happen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|Do"):
        Plan.parse(text)


def walked(plan: Plan, life: int) -> list[str]:
    faults = Faults(plan, life=life)
    for _ in range(200):
        for name in ("a.before", "a.after", "b.before"):
            faults.at(name)
    return [str(struck) for struck in faults.struck]


def test_chance_strikes_at_the_same_places_each_time_and_elsewhere_in_another_life() -> None:
    plan = Plan.parse("seed=3; *~20=fail")
    first = walked(plan, 1)
    assert first == walked(plan, 1)
    assert 10 < len(first) < 60
    assert first != walked(plan, 2)


def test_what_struck_is_told_as_a_fault_that_strikes_there_again() -> None:
    plan = Plan(faults=tuple(map(Fault.parse, walked(Plan.parse("seed=3; *~20=fail"), 2))))
    assert walked(plan, 2) == walked(Plan.parse("seed=3; *~20=fail"), 2)
    assert walked(plan, 1) == []


def test_every_point_of_every_part_may_at_least_be_the_last() -> None:
    for what in PARTS:
        assert points(what)
        for point in points(what):
            assert {Do.CRASH, Do.DELAY, Do.PAUSE, Do.JUMP} <= lawful(point)


async def launched(text: str) -> tuple[FakeDriver, Faults, BaseException | None]:
    """Ask a driver with faults around it what nodes are there; return what came of it."""
    driver, faults = FakeDriver(), Faults(Plan.parse(text))
    try:
        await through(faults, "driver", driver).remove(Handle("fake", "job.1.algo-1"))
    except (Crashed, DriverError) as error:
        return driver, faults, error
    return driver, faults, None


async def test_a_crash_before_leaves_it_undone_and_one_after_leaves_it_done() -> None:
    driver, _, error = await launched("driver.remove.before#1=crash")
    assert (driver.removed, type(error)) == ([], Crashed)
    driver, _, error = await launched("driver.remove.after#1=crash")
    assert (driver.removed, type(error)) == (["job.1.algo-1"], Crashed)


async def test_what_fails_is_not_done_and_what_is_doubled_is_done_twice() -> None:
    driver, _, error = await launched("driver.remove.before#1=fail")
    assert (driver.removed, type(error)) == ([], DriverError)
    driver, _, error = await launched("driver.remove.before#1=double")
    assert (driver.removed, error) == (["job.1.algo-1"] * 2, None)


async def test_nothing_of_a_dead_process_reaches_anything_any_more() -> None:
    driver, faults, _ = await launched("driver.remove.before#1=crash")
    with pytest.raises(Crashed):
        await through(faults, "driver", driver).remove(Handle("fake", "other"))
    with pytest.raises(Crashed):
        faults.at("journal.append.before")
    assert driver.removed == []


def test_a_process_that_stands_still_does_nothing_until_its_time_is_over() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        driver, faults = FakeDriver(), Faults(Plan.parse("driver.find.before#1=pause:30"))
        wrapped = through(faults, "driver", driver)
        done: list[float] = []

        async def find(after: float) -> None:
            await asyncio.sleep(after)
            await wrapped.find("job.1.algo-1")
            done.append(clock.seconds)

        await asyncio.gather(find(0), find(1), find(40))
        return done

    assert run(main) == [30.0, 30.0, 40.0]


class Rows:
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    async def take(self, row: str) -> int:
        self.kept.append(row)
        return len(self.kept)


async def test_an_answer_that_is_lost_is_of_something_that_was_done() -> None:
    rows = Rows()
    wrapped = through(Faults(Plan.parse("records.take.after#1=lose")), "records", rows)
    with pytest.raises(MaybeWritten):
        await wrapped.take("one")
    assert await wrapped.take("two") == 2


async def test_errors_are_those_that_the_part_promises() -> None:
    rows = through(Faults(Plan.parse("*#1=fail")), "records", Rows())
    with pytest.raises(StoreError):
        await rows.take("one")
