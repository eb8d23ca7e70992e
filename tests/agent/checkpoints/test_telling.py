"""What is told of keeping: seldom when all is well, loudly when it is late."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.agent.checkpoints.kept import Kept, Known
from trainshed.agent.checkpoints.sync import Pass
from trainshed.agent.checkpoints.telling import Telling
from trainshed.agent.journal import Journal
from trainshed.agent.written.folder import Signature
from trainshed.domain.facts import Fact

STUCK = Pass(trouble="the store is away", away=True, waiting={"x"})


class Told:
    """A telling with a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_767_225_600.0
        self.said: list[str] = []
        self.journal = Journal(folder / "journal.jsonl")
        self.kept = Kept(folder / "kept.jsonl")
        self.telling = Telling(self.journal, self.said.append, self.kept, lambda: self.now)

    def hear(self, done: Pass, *, after: float = 0.0, last: bool = False) -> list[Fact]:
        """Return the facts that a pass leads to, so many seconds after the last."""
        self.now += after
        before = self.journal.length
        self.telling.hear(done, last=last)
        return self.journal.after(before, 9)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    told = Told(tmp_path)
    yield told
    told.kept.close()


def test_the_first_is_told_at_once_and_further_ones_together_later(told: Told) -> None:
    told.kept.keep("x", Known(signature=Signature(7, 1, 1, 1), sha256="", etag="", restored=False))
    told.kept.keep("old", Known(signature=Signature(9, 1, 1, 1), sha256="", etag="", restored=True))
    assert told.hear(Pass()) == []
    began = told.now
    (fact,) = told.hear(Pass(stored=1))
    expected = {"files": 1, "bytes": 7, "kept_at": began, "since": 0.0, "trouble": ""}
    assert fact.detail == {**expected, "interval": 30.0}
    assert told.hear(Pass(stored=1), after=5) == []
    assert told.hear(Pass(), after=5) == []
    (fact,) = told.hear(Pass(), after=20)
    assert fact.detail["kept_at"] == began + 5
    assert told.hear(Pass(), after=1000) == []
    told.hear(Pass(stored=1))
    (fact,) = told.hear(Pass(stored=1), after=1, last=True)
    assert fact.detail["kept_at"] == told.now
    assert told.said == []


def test_what_was_not_told_yet_is_told_when_the_container_is_over(told: Told) -> None:
    told.hear(Pass(stored=1))
    assert told.hear(Pass(stored=1), after=2) == []
    kept_at, before = told.now, told.journal.length
    told.telling.leave(None)
    told.now += 1
    told.telling.leave(Pass(stored=1))
    told.telling.leave(Pass())
    facts = told.journal.after(before, 9)
    assert [fact.detail["kept_at"] for fact in facts] == [kept_at, kept_at + 1]


def test_what_is_stuck_when_the_container_is_over_stays_told(told: Told) -> None:
    began = told.now
    told.hear(STUCK)
    told.hear(Pass(stored=1, trouble="the store is away", waiting={"x"}), after=40)
    told.hear(Pass(stored=1, trouble="the store is away", waiting={"x"}), after=1)
    before = told.journal.length
    told.telling.leave(None)
    (fact,) = told.journal.after(before, 9)
    assert (fact.detail["since"], fact.detail["trouble"]) == (began, "the store is away")


def test_what_is_stuck_is_told_with_its_age_and_said_once_with_its_end(told: Told) -> None:
    assert told.hear(STUCK) == []
    began = told.now
    assert told.hear(STUCK, after=29) == []
    (fact,) = told.hear(STUCK, after=1)
    assert (fact.detail["since"], fact.detail["trouble"]) == (began, "the store is away")
    told.hear(STUCK, after=30)
    assert told.said == []
    (fact,) = told.hear(STUCK, after=1)
    assert fact.detail["since"] == began
    (said,) = told.said
    assert said == (
        "checkpoints are NOT being kept: what was saved 61 s ago is not in the store, more than "
        "two sync intervals of 30 s later: the store is away"
    )
    for _ in range(60):
        told.hear(STUCK, after=60)
    (fact,) = told.hear(Pass(stored=1), after=3)
    assert (fact.detail["since"], fact.detail["trouble"]) == (0.0, "")
    assert told.said[1:] == ["checkpoints are kept again, after 3664 s"]


def test_a_store_that_is_too_slow_is_late_too_also_in_the_middle_of_a_pass(told: Told) -> None:
    slow = Pass(waiting={"x"})
    told.telling.meanwhile(slow)
    told.now += 61
    told.telling.meanwhile(slow)
    (fact,) = told.journal.after(0, 9)
    assert (fact.detail["since"], fact.detail["kept_at"]) == (told.now - 61, 0.0)
    assert told.said[0].endswith(": saving is faster than the store takes")


def test_an_interval_is_longer_where_looking_takes_long(told: Told) -> None:
    told.telling.interval_s = 100.0
    told.hear(STUCK)
    assert told.hear(STUCK, after=99) == []
    assert told.hear(STUCK, after=1)[0].detail["interval"] == 100.0
    told.hear(STUCK, after=100)
    assert told.said == []
    told.hear(STUCK, after=1)
    assert len(told.said) == 1


def test_an_agent_that_starts_over_goes_on_with_what_was_late(told: Told) -> None:
    began = told.now = time.time() - 61  # the journal has a clock of its own
    told.hear(STUCK)
    told.hear(STUCK, after=61)
    again = Telling(told.journal, told.said.append, told.kept, lambda: told.now)
    told.now += 5
    before = told.journal.length
    again.hear(STUCK)
    told.now += 60
    again.hear(STUCK)
    assert {fact.detail["since"] for fact in told.journal.after(before, 9)} == {began}
    again.hear(Pass(stored=1))
    assert len(told.said) == 2
    assert told.said[1] == "checkpoints are kept again, after 126 s"
