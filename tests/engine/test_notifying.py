"""What becomes of an event after a try to tell it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trainshed.engine.notifying import Fate, decide
from trainshed.engine.webhooks import Refused, Unreachable
from trainshed.stores.objects.events import Event

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _event(*, tries: int = 0, age: timedelta = timedelta()) -> Event:
    return Event(
        n=1,
        webhook="models",
        tries=tries,
        name="ObjectCreated:Put",
        at=(NOW - age).timestamp(),
        subscription="all",
        bucket="b",
        region="us-east-1",
        key="k",
        size=1,
        etag="e",
    )


def test_what_was_taken_is_forgotten() -> None:
    assert decide(_event(), None, NOW).fate is Fate.TOLD


def test_a_webhook_that_is_away_holds_all_its_events_up() -> None:
    verdict = decide(_event(), Unreachable("no answer"), NOW)
    assert verdict.fate is Fate.LATER
    assert verdict.whole


def test_an_event_that_is_refused_holds_up_no_other() -> None:
    verdict = decide(_event(), Refused("400"), NOW)
    assert verdict.fate is Fate.LATER
    assert not verdict.whole


@given(st.integers(0, 10_000))
def test_pauses_grow_up_to_five_minutes(tries: int) -> None:
    pause = decide(_event(tries=tries), Unreachable("no answer"), NOW).pause
    assert timedelta(seconds=1) <= pause <= timedelta(minutes=5)
    assert decide(_event(tries=tries + 1), Unreachable("no answer"), NOW).pause >= pause


def test_after_a_week_an_event_is_given_up() -> None:
    week = timedelta(days=7, seconds=1)
    assert decide(_event(age=week), Unreachable("no answer"), NOW).fate is Fate.GIVEN_UP
    assert decide(_event(age=timedelta(days=6)), Refused("400"), NOW).fate is Fate.LATER
