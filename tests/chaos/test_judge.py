"""Who judges a chaos run can say no: each broken promise is seen, and none that was kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from trainshed.domain.facts import Fact, Kind
from trainshed.testing.chaos import program
from trainshed.testing.chaos.book import ABSENT, Book, Call, Outage, Promise
from trainshed.testing.chaos.findings import Findings, Run, Seen, Stay
from trainshed.testing.chaos.judge import RULES, judge
from trainshed.testing.chaos.orders import LOCAL_KINDS, SIMULATED_KINDS, order

ID = "0123456789ab"
NODE = f"{ID}.1.algo-1"
NAME = "job-1"


@dataclass(kw_only=True)
class Case:
    """A run in which everything is as it should be, until somebody changes something."""

    book: Book
    found: Findings
    outages: Sequence[Outage] = field(default_factory=list)

    @property
    def promise(self) -> Promise:
        return self.book.promises[NAME]

    @property
    def seen(self) -> Seen:
        return self.found.jobs[NAME]

    def see(self, **changes: object) -> None:
        self.found = replace(self.found, jobs={NAME: replace(self.seen, **changes)})  # type: ignore[arg-type]

    def find(self, **changes: object) -> None:
        self.found = replace(self.found, **changes)  # type: ignore[arg-type]

    def rules(self) -> set[str]:
        return {each.rule for each in judge(self.book, self.found, self.outages)}


def case(kind: str = "plain") -> Case:
    book = Book()
    asked = order(NAME, kind, Random(1), Path("/outside"))
    promise = book.add(asked)
    promise.answered = True
    lines = [program.line("1", number) for number in range(asked.steps)]
    facts = {
        1: Fact(1, 1.0, Kind.STARTED, {"runtime": "process"}),
        2: Fact(2, 2.0, Kind.METRICS, {"points": []}),
        3: Fact(3, 3.0, Kind.ENDED, {"outcome": "completed", "reason": ""}),
    }
    seen = Seen(id=ID, status="Completed", model=asked.model)
    if asked.reason:
        seen = replace(seen, status="Failed", reason=asked.reason, model=None)
    return Case(
        book=book,
        found=Findings(
            jobs={NAME: seen},
            runs={(NAME, "algo-1"): [Run("begin", "1"), Run("done", "1", asked.steps)]},
            stays={(ID, "algo-1"): [Stay(1, 0.0, 5.0), Stay(2, 5.0, 9.0)]},
            streams={(ID, "1", "algo-1"): ["[trainshed] begins", *lines]},
            acknowledged_facts={NODE: facts},
            acknowledged_lines={NODE: ["[trainshed] begins", *lines[:2]]},
            facts={NODE: {n: fact for n, fact in facts.items() if fact.kind is not Kind.METRICS}},
            taken={NODE: 3},
        ),
    )


@pytest.mark.parametrize("kind", ["plain", "bad", "sim-plain", "sim-bad"])
def test_a_run_without_fault_is_not_found_guilty(kind: str) -> None:
    assert case(kind).rules() == set()


def is_not_there(it: Case) -> None:
    it.find(jobs={}, acknowledged_facts={}, acknowledged_lines={})


def never_ends(it: Case) -> None:
    it.see(status="InProgress")


def fails(it: Case) -> None:
    it.see(status="Failed", reason="InternalServerError: lost")


def fails_for_another_reason(it: Case) -> None:
    it.see(status="Failed", reason="AlgorithmError: , exit code: 1")


def is_stopped_unasked(it: Case) -> None:
    it.see(status="Stopped")


def completes_though_stopped(it: Case) -> None:
    it.promise.stop_asked = it.promise.stop_answered = True


def has_another_model(it: Case) -> None:
    it.see(model={"algo-1.txt": b"other"})


def has_no_model(it: Case) -> None:
    it.see(model=None)


def changes_its_end(it: Case) -> None:
    it.promise.ended = "Failed"


def is_there_after_its_delete(it: Case) -> None:
    it.promise.delete_asked = it.promise.delete_answered = True


def overlaps(it: Case) -> None:
    runs = [*it.found.runs[NAME, "algo-1"], Run("overlap", "2")]
    it.find(runs={(NAME, "algo-1"): runs})


def stays_too_long(it: Case) -> None:
    it.find(stays={(ID, "algo-1"): [Stay(2, 4.0, 9.0), Stay(1, 0.0, 5.0)]})


def loses_a_fact(it: Case) -> None:
    facts = it.found.facts[NODE]
    it.find(facts={NODE: {n: fact for n, fact in facts.items() if n != 1}})


def keeps_another_fact(it: Case) -> None:
    facts = it.found.facts[NODE]
    it.find(facts={NODE: {**facts, 1: replace(facts[1], at=9.0)}})


def forgets_what_it_took(it: Case) -> None:
    it.find(taken={NODE: 2})


def _with_lines(it: Case, change: Callable[[list[str]], Iterator[str]]) -> None:
    lines = list(it.found.streams[ID, "1", "algo-1"])
    it.find(streams={(ID, "1", "algo-1"): list(change(lines))})


def loses_the_last_line(it: Case) -> None:
    _with_lines(it, lambda lines: iter(lines[:-1]))


def loses_a_line(it: Case) -> None:
    _with_lines(it, lambda lines: iter([*lines[:2], *lines[3:]]))


def doubles_a_line(it: Case) -> None:
    _with_lines(it, lambda lines: iter([*lines[:3], lines[2], *lines[3:]]))


def swaps_lines(it: Case) -> None:
    _with_lines(it, lambda lines: iter([lines[0], lines[2], lines[1], *lines[3:]]))


def loses_an_acknowledged_line(it: Case) -> None:
    """The first one is the agent's own: the program's are all there."""
    _with_lines(it, lambda lines: iter(lines[1:]))


def loses_an_object(it: Case) -> None:
    it.book.objects["objects/u1/1"] = {"bytes"}


def keeps_a_deleted_object(it: Case) -> None:
    it.book.objects["objects/u1/1"] = {ABSENT}
    it.find(objects={"objects/u1/1": "bytes"})


def reads_something_else(it: Case) -> None:
    it.book.note_misread("objects/u1/1 was read as something else")


def leaves_something(it: Case) -> None:
    it.find(left=["process 7"])


def fails_a_call(it: Case) -> None:
    it.book.failed(Call(operation="ListTrainingJobs", began=5.0, ended=6.0, error="no answer"))
    it.outages = [Outage(1.0, 4.9), Outage(6.1, 8.0)]


def has_trouble(it: Case) -> None:
    it.find(troubles=["a server does not start"])


BROKEN: dict[Callable[[Case], None], str] = {
    is_not_there: "lost",
    never_ends: "lost",
    fails: "wrong-end",
    fails_for_another_reason: "wrong-end",
    is_stopped_unasked: "wrong-end",
    completes_though_stopped: "wrong-end",
    has_another_model: "wrong-end",
    has_no_model: "wrong-end",
    changes_its_end: "wrong-end",
    is_there_after_its_delete: "wrong-end",
    overlaps: "twice",
    stays_too_long: "twice",
    loses_a_fact: "missing-fact",
    keeps_another_fact: "missing-fact",
    forgets_what_it_took: "missing-fact",
    loses_the_last_line: "missing-line",
    loses_a_line: "missing-line",
    doubles_a_line: "missing-line",
    swaps_lines: "missing-line",
    loses_an_acknowledged_line: "missing-line",
    loses_an_object: "missing-object",
    keeps_a_deleted_object: "missing-object",
    reads_something_else: "missing-object",
    leaves_something: "left",
    fails_a_call: "failed-call",
    has_trouble: "trouble",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_promise_is_seen(broken: Callable[[Case], None]) -> None:
    it = case()
    broken(it)
    assert it.rules() == {BROKEN[broken]}


def test_every_rule_is_broken_by_one_of_them() -> None:
    assert set(BROKEN.values()) == set(RULES)


def test_a_job_that_should_fail_and_completes_is_seen() -> None:
    it = case("bad")
    it.see(status="Completed")
    assert it.rules() == {"wrong-end"}


@pytest.mark.parametrize(("began", "ended"), [(1.0, 2.0), (2.0, 9.0), (0.0, 1.0)])
def test_a_call_may_fail_while_nobody_can_answer(began: float, ended: float) -> None:
    it = case()
    it.book.failed(Call(operation="ListTrainingJobs", began=1.0, ended=2.0, error="no answer"))
    it.outages = [Outage(began, ended)]
    assert it.rules() == set()


def test_lines_of_a_program_that_failed_are_asked_for_as_well() -> None:
    it = case("bad")
    loses_the_last_line(it)
    assert it.rules() == {"missing-line"}


def test_what_was_done_to_a_job_excuses_how_it_ended() -> None:
    for done in ("killed", "stop_asked"):
        it = case()
        it.see(status="Failed", reason="InternalServerError: the agent was lost")
        setattr(it.promise, done, True)
        assert it.rules() == set()
    it = case("fragile")
    it.see(status="Failed", reason="InternalServerError: the agent was lost")
    assert it.rules() == set()


@pytest.mark.parametrize("there", ["old", "new"])
def test_an_object_whose_put_was_not_answered_is_what_it_was_or_what_was_put(there: str) -> None:
    it = case()
    it.book.objects["objects/u1/1"] = {"old", "new"}
    it.find(objects={"objects/u1/1": there})
    assert it.rules() == set()


def test_a_job_whose_create_was_not_answered_may_be_there_or_not() -> None:
    it = case()
    it.promise.answered = False
    assert it.rules() == set()
    is_not_there(it)
    assert it.rules() == set()


def test_a_deleted_job_may_be_gone_with_all_that_was_known_of_it() -> None:
    it = case()
    it.promise.delete_asked = True
    it.find(jobs={}, facts={}, taken={}, streams={})
    assert it.rules() == set()


@pytest.mark.parametrize("kind", [*LOCAL_KINDS, *SIMULATED_KINDS])
def test_the_same_seed_asks_for_the_same_jobs(kind: str, tmp_path: Path) -> None:
    one, other = (order(NAME, kind, Random(7), tmp_path) for _ in range(2))
    assert one == other
    assert one.request["TrainingJobName"] == NAME
    assert bool(one.reason) == kind.endswith("bad")
