"""What counts as nobody's, and what is told of its removal."""

from collections.abc import Sequence
from dataclasses import replace

from trainshed.domain.errors import DriverError
from trainshed.domain.garbage import Item
from trainshed.domain.training import Attempt, TrainingJob
from trainshed.engine.garbage import Garbage
from trainshed.testing.jobs import NOON, job

NODE = f"{job().id}.2.algo-1"


class Jobs:
    def __init__(self, *jobs: TrainingJob) -> None:
        self.jobs = {each.arn: each for each in jobs}

    async def open_jobs(self) -> Sequence[str]:
        return list(self.jobs)

    async def get(self, arn: str) -> TrainingJob | None:
        return self.jobs.get(arn)


class Place:
    """A place with things in it; some may be stubborn."""

    name = "a place"

    def __init__(self, *items: Item, stubborn: str = "", away: str = "", quiet: str = "") -> None:
        self.items = list(items)
        self.stubborn = stubborn
        self.away = away
        self.quiet = quiet
        self.asked: list[str] = []

    async def find(self) -> list[Item]:
        if self.away:
            raise DriverError(self.away)
        return list(self.items)

    async def remove(self, item: Item) -> None:
        self.asked.append(item.name)
        if item.name == self.stubborn:
            raise DriverError("it does not go")
        if item.name != self.quiet:
            self.items.remove(item)


def running() -> TrainingJob:
    attempt = Attempt(number=2, backend="local", started=NOON, handles={"algo-1": f"/n/{NODE}"})
    return replace(job(), attempt=attempt)


def of(owner: str, kind: str = "node") -> Item:
    return Item(kind=kind, name=f"/n/{owner}", owner=owner, reason="why")


async def test_what_an_open_job_owns_is_nobody_s_business() -> None:
    place = Place(of(NODE), of(f"{job().id}.2", "network"))
    assert await Garbage(Jobs(running()), [place]).collect(True) == []
    assert place.asked == []


async def test_nodes_of_former_attempts_of_other_jobs_and_of_nobody_are_left_over() -> None:
    place = Place(of(f"{job().id}.1.algo-1"), of("other.1.algo-1"), of(""), of(NODE))
    found = await Garbage(Jobs(running()), [place]).collect(False)
    names = [each.name for each in found]
    assert names == [f"/n/{job().id}.1.algo-1", "/n/other.1.algo-1", "/n/"]
    assert not any(each.removed or each.trouble for each in found)
    assert place.asked == []


async def test_nodes_that_a_job_took_over_from_another_are_needed() -> None:
    taken_over = Attempt(
        number=1, backend="local", started=NOON, handles={"algo-1": "/n/warm.1.algo-1"}
    )
    jobs = Jobs(replace(job(), attempt=taken_over))
    assert await Garbage(jobs, [Place(of("warm.1.algo-1"))]).collect(False) == []


async def test_a_job_in_line_needs_none_of_the_nodes_that_it_had() -> None:
    found = await Garbage(Jobs(job()), [Place(of(NODE))]).collect(False)
    assert [each.name for each in found] == [f"/n/{NODE}"]


async def test_what_was_removed_is_looked_for_again_before_it_is_said_to_be_gone() -> None:
    place = Place(of("a"), of("b"), of("c"), stubborn="/n/b", quiet="/n/c")
    a, b, c = await Garbage(Jobs(), [place]).collect(True)
    assert (a.removed, a.trouble) == (True, "")
    assert (b.removed, b.trouble) == (False, "it does not go")
    assert (c.removed, c.trouble) == (False, "it is still there after its removal")


async def test_what_another_finder_took_along_counts_as_removed() -> None:
    node, process = of("a"), of("a", "process")
    gone = Place(process)

    class Nodes(Place):
        async def remove(self, item: Item) -> None:
            await super().remove(item)
            gone.items.clear()
            gone.stubborn = process.name

    first, second = await Garbage(Jobs(), [Nodes(node), gone]).collect(True)
    assert (first.removed, second.removed) == (True, True)
    assert second.trouble == ""


async def test_what_is_lost_is_told_and_never_removed() -> None:
    lost = Item(kind="object", name="s3://b/k", reason="its bytes are lost", lost=True)
    place = Place(lost)
    (found,) = await Garbage(Jobs(), [place]).collect(True)
    assert not found.removed
    assert found.trouble
    assert place.asked == []


async def test_a_place_that_cannot_be_looked_at_is_told_and_the_others_are_looked_at() -> None:
    away = Place(away="no engine answers")
    found = await Garbage(Jobs(), [away, Place(of("a"))]).collect(True)
    assert [(each.kind, each.removed) for each in found] == [("node", True), ("place", False)]
    assert "no engine answers" in found[1].trouble


async def test_what_is_gone_when_it_is_looked_for_again_was_never_left() -> None:
    class Passing(Place):
        async def find(self) -> list[Item]:
            found = await super().find()
            self.items = [item for item in self.items if item.name != "/n/passing"]
            return found

    for remove in (False, True):
        place = Passing(of("passing"), of("stays"))
        found = await Garbage(Jobs(), [place]).collect(remove)
        assert [each.name for each in found] == ["/n/stays"]
