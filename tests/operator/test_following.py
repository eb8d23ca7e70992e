"""Whose job has changed, for all objects of a place at once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.operator.world import DIGITS, EUROPE, World, submitted

from trainshed.operator.deciding.base import Answer, Refused, Told, Trouble
from trainshed.operator.following import Follower
from trainshed.operator.objects import Key, Place
from trainshed.testing.operator.service import NOON

PATIENCE = timedelta(seconds=20)
SOMEWHERE = "http://shed:7070"


class Scripted:
    """A service that answers what it was told to, and notes what it was asked."""

    def __init__(self, *answers: Answer | Trouble, address: str = SOMEWHERE) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self._address = address

    def address(self, place: Place) -> str:
        return self._address

    async def call(
        self, place: Place, operation: str, params: Mapping[str, Any]
    ) -> Answer | Trouble:
        self.asked.append((operation, params))
        return self.answers.pop(0)

    async def wait(
        self, place: Place, operation: str, params: Mapping[str, Any], patience: timedelta
    ) -> Answer | Trouble:
        return await self.call(place, operation, params)


def told(*jobs: tuple[str, str], token: str = "t", over: bool = False, more: bool = False) -> Told:
    """Return an answer of AwaitTrainingJobs."""
    return Told(
        {
            "Token": token,
            "StartedOver": over,
            "HasMore": more,
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": name,
                    "TrainingJobStatus": "InProgress",
                    "SecondaryStatus": secondary,
                    "Deleted": False,
                }
                for name, secondary in jobs
            ],
        }
    )


def listed(*jobs: tuple[str, datetime], token: str = "") -> Told:
    """Return an answer of ListTrainingJobs, as it was before it told secondary statuses."""
    summaries = [
        {"TrainingJobName": name, "TrainingJobStatus": "InProgress", "LastModifiedTime": changed}
        for name, changed in jobs
    ]
    return Told({"TrainingJobSummaries": summaries, **({"NextToken": token} if token else {})})


@pytest.fixture
def world() -> World:
    return World()


class Hearing:
    """A follower, and who it has told of."""

    def __init__(self, world: World, service: Scripted) -> None:
        self.heard: list[Key] = []
        self.follower = Follower(EUROPE, service, world.cache, self.heard.append)

    async def look(self, times: int = 1) -> list[Key]:
        for _ in range(times):
            assert await self.follower.look(NOON, PATIENCE)
        heard, self.heard[:] = list(self.heard), []
        return heard


async def test_a_change_is_told_once_and_what_is_known_already_is_not(world: World) -> None:
    name = submitted(world)
    service = Scripted(
        told((name, "Starting"), over=True), told((name, "Training"), ("strange", "Training"))
    )
    hearing = Hearing(world, service)
    assert await hearing.look() == []
    assert await hearing.look() == [DIGITS]
    assert [asked["WaitSeconds"] for _, asked in service.asked] == [0, 20]
    assert service.asked[1][1]["Token"] == "t"


async def test_what_is_not_named_when_all_is_told_is_gone(world: World) -> None:
    submitted(world)
    hearing = Hearing(
        world, Scripted(told(("strange", "Training"), over=True, more=True), told(("b", "x")))
    )
    assert await hearing.look() == []
    assert await hearing.look() == [DIGITS]


async def test_a_service_without_the_operation_is_listed(world: World) -> None:
    name = submitted(world)
    later = NOON + timedelta(seconds=1)
    service = Scripted(
        Refused("UnknownOperationException", ""),
        listed((name, NOON), token="more"),
        listed(("strange", NOON)),
        listed((name, NOON)),
        listed((name, later)),
    )
    hearing = Hearing(world, service)
    assert await hearing.look() == []
    assert await hearing.look() == [DIGITS]
    assert await hearing.look() == [], "it is the same change, listed again"
    assert await hearing.look() == [DIGITS]
    operations = [operation for operation, _ in service.asked]
    assert operations == ["AwaitTrainingJobs", *["ListTrainingJobs"] * 4]


async def test_amazon_is_not_asked_for_what_it_does_not_have(world: World) -> None:
    name = submitted(world)
    service = Scripted(listed((name, NOON)), address="")
    assert await Hearing(world, service).look() == [DIGITS]


@pytest.mark.parametrize("reason", ["ServiceUnreachable", "CredentialsRefused", "Throttled"])
async def test_a_service_that_is_silent_is_asked_again(world: World, reason: str) -> None:
    submitted(world)
    service = Scripted(Trouble(reason, "no"), told(over=True))
    hearing = Hearing(world, service)
    assert not await hearing.follower.look(NOON, PATIENCE)
    assert await hearing.look() == [DIGITS], "it was not named"
    assert hearing.follower.how == "awaited"


async def test_a_listing_goes_on_from_the_last_change_that_it_had(world: World) -> None:
    name = submitted(world)
    later = NOON + timedelta(hours=1)
    service = Scripted(listed((name, later)), Trouble("Throttled", "no"), listed(), address="")
    hearing = Hearing(world, service)
    await hearing.look()
    assert not await hearing.follower.look(later + timedelta(hours=1), PATIENCE)
    await hearing.look()
    since = [asked["LastModifiedTimeAfter"] for _, asked in service.asked]
    assert since[0] < NOON
    assert NOON < since[1] == since[2] < later
