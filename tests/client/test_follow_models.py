"""Every model comes once, whole, whatever happens in between."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.client.fake_server import FakeServer, Job, Refusal, serving
from tests.client.test_fetch import archive
from tests.client.test_upload import never

from trainshed.client import arrivals
from trainshed.client.api import Api
from trainshed.client.arrivals import Arrival
from trainshed.client.errors import ApiError, ClientError, ServerUnreachable
from trainshed.client.follow_models import Away, Back, ModelFollower, News, Waiting, Wanted

NOW = time.time()
"""The fake server's clock is the machine's own."""
LATER = NOW + 100_000
"""After every start of a follower, however long the tests take."""


def finished(fake: FakeServer, name: str, at: float = LATER, status: str = "Completed") -> Job:
    job = fake.add_job(name, TrainingJobStatus=status, LastModifiedTime=at)
    fake.objects[f"out/{name}/output/model.tar.gz"] = archive(("model.bin", name.encode()))
    return job


class Home:
    """Where models come to; each ``look`` is another start of the follower."""

    def __init__(self, fake: FakeServer, folder: Path) -> None:
        self.fake = fake
        self.folder = folder

    def look(self, wanted: Wanted = Wanted()) -> list[News]:  # noqa: B008 - frozen
        with arrivals.opened(self.folder) as state:
            return list(follower(state, self.fake.api, wanted).look())

    def brought(self, wanted: Wanted = Wanted()) -> list[str]:  # noqa: B008 - frozen
        return [news.job for news in self.look(wanted) if isinstance(news, Arrival)]

    def models(self) -> dict[str, str]:
        """Return what lies there: folder to the model's content."""
        return {
            path.parent.name: path.read_text() for path in sorted(self.folder.glob("*/model.bin"))
        }


def follower(
    state: arrivals.State,
    connect: Callable[[], Api],
    wanted: Wanted = Wanted(),  # noqa: B008
) -> ModelFollower:
    return ModelFollower(
        state=state, wanted=wanted, connect=connect, sleep=never, progress=lambda moved: None
    )


@pytest.fixture
def home(fake: FakeServer, tmp_path: Path) -> Iterator[Home]:
    fake.buckets.add("out")
    yield Home(fake, tmp_path / "home")


def test_what_gets_over_after_the_first_start_is_brought_once(fake: FakeServer, home: Home) -> None:
    finished(fake, "before", at=NOW - 600)
    assert home.brought() == []
    finished(fake, "one")
    fake.add_job("runs", LastModifiedTime=LATER)
    assert home.brought() == ["one"]
    finished(fake, "two")
    assert home.brought() == ["two"]
    assert home.brought() == []
    assert home.models() == {"one": "one", "two": "two"}


def test_what_was_over_before_is_brought_when_it_is_asked_for(fake: FakeServer, home: Home) -> None:
    fake.most_of_a_page = 3
    finished(fake, "too-old", at=NOW - 1000)
    for number in range(8):
        finished(fake, f"job-{number}", at=NOW - 600)
    assert home.brought(Wanted(since=NOW - 900, name_contains="job-6")) == ["job-6"]
    others = [f"job-{number}" for number in range(8) if number != 6]
    assert home.brought() == others
    assert home.brought(Wanted(since=0.0)) == []  # where it began was said at the first start


def test_only_jobs_of_the_wanted_statuses_come_and_one_without_a_model_is_told_once(
    fake: FakeServer, home: Home
) -> None:
    finished(fake, "stopped", status="Stopped")
    finished(fake, "failed", status="Failed")
    del fake.objects["out/failed/output/model.tar.gz"]
    assert home.brought(Wanted(since=0.0)) == []
    both = Wanted(statuses=("Stopped", "Failed"), since=0.0)
    stopped, failed = home.look(both)
    assert isinstance(stopped, Arrival)
    assert isinstance(failed, Arrival)
    assert (stopped.folder, failed.folder) == ("stopped", "")
    assert "because it failed" in failed.problem
    assert home.look(both) == []


def test_a_model_that_may_not_be_unpacked_is_told_once_and_leaves_nothing(
    fake: FakeServer, home: Home
) -> None:
    finished(fake, "evil")
    fake.objects["out/evil/output/model.tar.gz"] = archive(("../../out", b"x"))
    (news,) = home.look(Wanted(since=0.0))
    assert isinstance(news, Arrival)
    assert "may not be unpacked" in news.problem
    assert home.look() == []
    assert [path.name for path in home.folder.iterdir()] == [".trainshed-pull.jsonl"]


def test_a_job_of_the_same_name_as_one_before_comes_beside_it(fake: FakeServer, home: Home) -> None:
    finished(fake, "same")
    assert home.brought(Wanted(since=0.0)) == ["same"]
    job = finished(fake, "same")
    job["CreationTime"] += 1
    fake.objects["out/same/output/model.tar.gz"] = archive(("model.bin", b"second"))
    assert home.brought() == ["same"]
    assert home.models() == {"same": "same", "same-20260101T000002Z": "second"}


def test_who_dies_before_it_was_written_down_tells_again_but_fetches_nothing_twice(
    fake: FakeServer, home: Home
) -> None:
    finished(fake, "one")
    with (
        arrivals.opened(home.folder) as state,
        closing(follower(state, fake.api, Wanted(since=0.0)).look()) as news,  # type: ignore[type-var]
    ):
        next(iter(news))
    fetched = fake.asked.count("GET /out/one/output/model.tar.gz")
    assert home.brought() == ["one"]
    assert home.brought() == []
    assert fake.asked.count("GET /out/one/output/model.tar.gz") == fetched
    assert home.models() == {"one": "one"}


def test_who_dies_before_a_complete_model_took_its_place_gives_it_its_place(
    fake: FakeServer, home: Home
) -> None:
    with arrivals.opened(home.folder) as state:
        state.begin(0.0)
        (state.incoming / "model").mkdir(parents=True)
        (state.incoming / "model/model.bin").write_text("whole")
        state.will_place(
            Arrival(
                job="j", created=1.0, status="Completed", model="", folder="j", files=1, bytes=5
            )
        )
    assert home.brought() == ["j"]
    assert home.models() == {"j": "whole"}
    assert home.brought() == []


def test_what_was_half_fetched_of_another_job_is_dropped(fake: FakeServer, home: Home) -> None:
    stale = home.folder / ".trainshed-incoming/model"
    stale.mkdir(parents=True)
    (stale / "stale.bin").write_text("of another job")
    finished(fake, "one")
    home.look(Wanted(since=0.0))
    assert [path.name for path in (home.folder / "one").iterdir()] == ["model.bin"]


@pytest.mark.parametrize("torn", [b'{"arrived": {"jo', b"\n", b"\xff\n", b"[]\n"])
def test_a_line_that_was_torn_counts_as_none(fake: FakeServer, home: Home, torn: bytes) -> None:
    finished(fake, "one")
    home.look(Wanted(since=0.0))
    with (home.folder / ".trainshed-pull.jsonl").open("ab") as file:
        file.write(torn)
    finished(fake, "two")
    assert home.brought() == ["two"]
    assert home.brought() == []


def test_a_server_that_goes_away_is_told_once_and_waited_for(fake: FakeServer, home: Home) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            finished(fake, "one")

    def connect() -> Api:
        if len(pauses) < 8:
            raise ServerUnreachable("it is away")
        return fake.api()

    with arrivals.opened(home.folder) as state:
        following = follower(state, connect, Wanted(since=0.0))
        following.sleep = pause
        news = following.follow()
        assert [type(next(news)) for _ in range(3)] == [Away, Back, Arrival]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_model_that_cannot_be_had_now_holds_up_no_other_and_comes_later(
    fake: FakeServer, home: Home
) -> None:
    looks: list[float] = []
    finished(fake, "first")
    finished(fake, "second")

    def on_describe(job: Job) -> None:
        if job["TrainingJobName"] == "first" and len(looks) < 3:
            raise Refusal(403, "AccessDeniedException", "not yours")

    fake.on_describe = on_describe
    with arrivals.opened(home.folder) as state:
        following = follower(state, fake.api, Wanted(since=0.0))
        following.sleep = looks.append
        news = following.follow()
        refused, second, first = (next(news) for _ in range(3))
    assert isinstance(refused, Waiting)
    assert (refused.job, str(refused.error)) == ("first", "AccessDeniedException: not yours")
    assert isinstance(second, Arrival)
    assert isinstance(first, Arrival)
    assert (second.job, first.job) == ("second", "first")


def test_who_may_not_list_jobs_at_all_is_told(home: Home, tmp_path: Path) -> None:
    class Closed(FakeServer):
        def _list_training_jobs(self, params: object) -> dict[str, object]:
            raise Refusal(403, "AccessDeniedException", "not yours")

    with (
        serving(Closed()) as closed,
        arrivals.opened(tmp_path / "home") as state,
        pytest.raises(ApiError, match="not yours"),
    ):
        next(follower(state, closed.api).follow())


def test_one_folder_is_followed_into_by_one(tmp_path: Path) -> None:
    with (
        arrivals.opened(tmp_path),
        pytest.raises(ClientError, match="another trainshed pull"),
        arrivals.opened(tmp_path),
    ):
        raise AssertionError("both have it")
    (tmp_path / "file").touch()
    with pytest.raises(ClientError, match="cannot be written"), arrivals.opened(tmp_path / "file"):
        raise AssertionError("it is a file")
