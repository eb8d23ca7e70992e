"""What is told of keeping: seldom when all is well, loudly when it is stuck."""

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
    assert fact.detail == expected
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


def test_what_is_stuck_is_told_with_its_age_and_said_less_and_less_often(told: Told) -> None:
    assert told.hear(STUCK) == []
    began = told.now
    assert told.hear(STUCK, after=29) == []
    (fact,) = told.hear(STUCK, after=1)
    assert (fact.detail["since"], fact.detail["trouble"]) == (began, "the store is away")
    assert told.said == []
    told.hear(STUCK, after=30)
    assert told.said == ["checkpoints are NOT being kept for 1 min: the store is away"]
    for _ in range(60):
        told.hear(STUCK, after=60)
    assert [line.split(" min")[0].split()[-1] for line in told.said] == [
        "1",
        "2",
        "4",
        "8",
        "16",
        "32",
    ]
    (fact,) = told.hear(Pass(stored=1), after=60)
    assert (fact.detail["since"], fact.detail["trouble"]) == (0.0, "")
    assert told.said[-1] == "checkpoints are kept again"


def test_a_slow_store_is_no_trouble_but_its_lag_is_told(told: Told) -> None:
    slow = Pass(waiting={"x"})
    told.hear(slow)
    (fact,) = told.hear(slow, after=61)
    assert fact.detail["since"] == told.now - 61
    assert told.said == []
