"""Holds what clients were promised against what was found. Pure.

The rules, each with a name that a violation bears:

lost            a job whose Create was answered is not there, or never came to an end
wrong-end       it came to another end than it must, for another reason, or with another model
twice           two of its programs, or two of its attempts, ran at once
missing-fact    a fact that a server acknowledged is not in the records, or is another there
missing-line    lines that a server acknowledged, or that a finished program wrote, are not in the
                log exactly once and in order
missing-object  an object is not what its user's answered calls made it
left            a process, folder, mount or anything else is left after the end
failed-call     a client's call failed after its normal retries while a server lived
trouble         a server did not start, or did not end when it was asked to
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trainshed.domain.facts import Kind
from trainshed.testing.chaos import program
from trainshed.testing.chaos.book import ABSENT, Book, Outage, Promise, unexcused
from trainshed.testing.chaos.findings import Findings, Run, Seen
from trainshed.testing.chaos.orders import LOCAL

RULES = (
    *("lost", "wrong-end", "twice", "missing-fact", "missing-line"),
    *("missing-object", "left", "failed-call", "trouble"),
)
_ONLY_LAST = frozenset({Kind.METRICS, Kind.PROGRESS, Kind.CHECKPOINT})
"""Facts of which the records promise to keep the last one, or what it says."""
_KILLED = "exit code: 137"
_PLATFORM = "InternalServerError: "
_OVER = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was not kept."""

    rule: str
    what: str
    job: str = ""
    evidence: Sequence[str] = ()
    """The job's transitions."""


def judge(book: Book, found: Findings, outages: Sequence[Outage]) -> list[Violation]:
    """Return every promise that was not kept."""
    violations: list[Violation] = []
    for promise in book.promises.values():
        violations += _job(promise, found)
    violations += _at_once(found)
    violations += _facts(found)
    violations += _acknowledged_lines(found)
    violations += _objects(book, found)
    violations += [Violation(rule="left", what=each) for each in found.left]
    violations += [
        Violation(
            rule="failed-call",
            what=f"{call.operation}, {call.ended - call.began:.1f} s: {call.error}",
        )
        for call in unexcused(book.failures, outages)
    ]
    return violations + [Violation(rule="trouble", what=each) for each in found.troubles]


def _job(promise: Promise, found: Findings) -> Iterator[Violation]:
    name, seen = promise.order.name, found.jobs.get(promise.order.name)
    if seen is None:
        if promise.answered and not promise.delete_asked:
            yield Violation(rule="lost", job=name, what="its Create was answered; it is not there")
        return
    if seen.status not in _OVER:
        what = f"it is {seen.status}, and comes to no end"
        yield Violation(rule="lost", job=name, what=what, evidence=seen.transitions)
        return
    if promise.delete_answered:
        what = "its Delete was answered, and it is there"
        yield Violation(rule="wrong-end", job=name, what=what, evidence=seen.transitions)
    if promise.ended and promise.ended != seen.status:
        what = f"a client saw it {promise.ended}, and it is {seen.status}"
        yield Violation(rule="wrong-end", job=name, what=what, evidence=seen.transitions)
    for what in _ends(promise, seen):
        yield Violation(rule="wrong-end", job=name, what=what, evidence=seen.transitions)
    for host in promise.order.hosts if promise.order.backend == LOCAL else ():
        for what in _log(seen, host, found, found.runs.get((name, host), ())):
            yield Violation(rule="missing-line", job=name, what=what, evidence=seen.transitions)


def _ends(promise: Promise, seen: Seen) -> Iterator[str]:
    """Yield what is wrong with how a job ended."""
    order = promise.order
    match seen.status:
        case "Completed":
            if order.reason:
                yield f"it completed, and its program fails: {order.reason}"
            if promise.stop_answered:
                yield "it completed although its stop was answered"
            if order.backend == LOCAL and not order.reason and seen.model != order.model:
                yield f"its model is {_short(seen.model)}, not {_short(order.model)}"
        case "Stopped" if not promise.stop_asked:
            yield "it is Stopped, and nobody asked for that"
        case "Failed" if not _may_fail(promise, seen.reason):
            yield f"it failed: {seen.reason!r}; expected: {order.reason or 'it completes'!r}"
        case _:
            pass


def _may_fail(promise: Promise, reason: str) -> bool:
    order = promise.order
    text = reason.removesuffix(")").rpartition(" (algo-")[0] or reason
    if order.reason and order.reason in {reason, text}:
        return True
    if promise.killed and (_KILLED in reason or reason.startswith(_PLATFORM)):
        return True
    # Nodes that are lost while their job is stopped are not replaced: nobody wants it to go on.
    return (promise.stop_asked or not order.resilient) and reason.startswith(_PLATFORM)


def _log(seen: Seen, host: str, found: Findings, runs: Sequence[Run]) -> Iterator[str]:
    """Yield what is wrong with the lines that a job's programs wrote on one host."""
    whole = {run.attempt: run.lines for run in runs if run.what in {"done", "failed", "stopped"}}
    for (job, attempt, of), lines in found.streams.items():
        if (job, of) != (seen.id, host):
            continue
        said = [line for line in lines if line.startswith("line ")]
        expected = [program.line(attempt, number) for number in range(len(said))]
        if said != expected:
            wrong = next(
                n for n, pair in enumerate(zip(said, expected, strict=True)) if len({*pair}) > 1
            )
            yield f"{host}, attempt {attempt}: line {wrong} is {said[wrong]!r}"
        # Only of a program that came to its own end it is known that nothing cut its lines short.
        wrote = seen.status == "Completed" or program.FAILURE in seen.reason
        if wrote and int(attempt) == seen.attempts and len(said) != whole.get(attempt, -1):
            yield (
                f"{host}, attempt {attempt}: the log has {len(said)} lines, its program wrote "
                f"{whole.get(attempt)}"
            )


def _at_once(found: Findings) -> Iterator[Violation]:
    """Yield what ran twice at once."""
    for (job, host), runs in found.runs.items():
        for run in runs:
            if run.what == "overlap":
                what = f"{host}: attempt {run.attempt} began while another program ran"
                yield Violation(rule="twice", job=job, what=what, evidence=[str(r) for r in runs])
        begun = [run.attempt for run in runs if run.what == "begin"]
        for attempt in sorted({each for each in begun if begun.count(each) > 1}):
            what = (
                f"{host}: the program of attempt {attempt} was begun {begun.count(attempt)} times"
            )
            yield Violation(rule="twice", job=job, what=what, evidence=[str(r) for r in runs])
    for (job_id, host), stays in found.stays.items():
        ordered = sorted(stays, key=lambda stay: stay.attempt)
        for one, other in pairwise(ordered):
            if other.began < one.ended:
                what = (
                    f"{host}: attempt {other.attempt} began {one.ended - other.began:.3f} s before "
                    f"attempt {one.attempt} ended"
                )
                yield Violation(rule="twice", job=job_id, what=what)


def _facts(found: Findings) -> Iterator[Violation]:
    """Yield the facts that a server acknowledged and the records lack."""
    known = {seen.id for seen in found.jobs.values()}
    for node, facts in found.acknowledged_facts.items():
        if node.partition(".")[0] not in known:
            continue  # its job was deleted
        taken = found.taken.get(node, 0)
        if facts and max(facts) > taken:
            what = f"fact {max(facts)} was acknowledged, the records have taken {taken}"
            yield Violation(rule="missing-fact", job=node, what=what)
        kept = found.facts.get(node, {})
        for n, fact in facts.items():
            if fact.kind not in _ONLY_LAST and n <= taken and kept.get(n) != fact:
                what = f"fact {n} is {kept.get(n)} in the records, and was acknowledged as {fact}"
                yield Violation(rule="missing-fact", job=node, what=what)


def _acknowledged_lines(found: Findings) -> Iterator[Violation]:
    known = {seen.id for seen in found.jobs.values()}
    for node, lines in found.acknowledged_lines.items():
        job, attempt, host = node.split(".")
        if job not in known:
            continue
        there = list(found.streams.get((job, attempt, host), ()))
        if there[: len(lines)] != list(lines):
            what = (
                f"{len(lines)} lines were acknowledged; the log has {len(there)}, others among them"
            )
            yield Violation(rule="missing-line", job=node, what=what)


def _objects(book: Book, found: Findings) -> Iterator[Violation]:
    for what in book.misread:
        yield Violation(rule="missing-object", what=what)
    for key, possible in book.objects.items():
        there = found.objects.get(key, ABSENT)
        if there not in possible:
            what = f"{key} is {there}, and must be one of {sorted(possible)}"
            yield Violation(rule="missing-object", what=what)


def _short(model: object) -> str:
    return repr(model)[:300]
