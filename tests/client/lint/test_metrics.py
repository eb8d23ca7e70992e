"""Metric definitions are judged alone, and by what they find in a log."""

import contextlib
from collections.abc import Iterator

import pytest

from trainshed.client.lint import metrics

LINES = ["loss=0.5 acc=91%", "nothing", "loss=nan acc=92%", "loss=0.25 acc=93"]


@contextlib.contextmanager
def no_limit() -> Iterator[None]:
    yield


@contextlib.contextmanager
def used_up() -> Iterator[None]:
    if LINES:
        raise metrics.TooSlow
    yield


def measured(regex: str) -> metrics.Sample:
    (sample,) = metrics.measure([("m", regex)], LINES, no_limit)
    return sample


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        (r"loss=([0-9.]+)", []),
        ("loss=(", ["TS401"]),
        ("loss=[0-9.]+", ["TS402"]),
        ("(" + "a" * 499 + ")", ["TS403"]),
        ("(" + "a" * 498 + ")", []),
    ],
)
def test_a_definition_is_judged_without_a_log(regex: str, expected: list[str]) -> None:
    found = metrics.of_definitions([("m", regex)])
    assert [finding.rule.code for finding in found] == expected


def test_at_most_40_metrics_of_at_most_255_characters() -> None:
    most = [(f"m{number}", "(a)") for number in range(40)]
    assert not list(metrics.of_definitions(most))
    (finding,) = metrics.of_definitions([*most, ("one", "(a)")])
    assert finding.rule.code == "TS404"
    (finding,) = metrics.of_definitions([("n" * 256, "(a)")])
    assert finding.rule.code == "TS403"


def test_matches_are_counted_and_the_ends_are_told() -> None:
    sample = measured(r"loss=(\S+)")
    assert (sample.matches, sample.numbers, sample.first, sample.last) == (3, 2, 0.5, 0.25)
    assert sample.odd == "line 3: 'nan'"


def codes(*samples: metrics.Sample) -> list[str]:
    return [finding.rule.code for finding in metrics.of_samples(samples, "log")]


def test_what_was_found_is_judged() -> None:
    assert codes(measured(r"loss=([0-9.]+)")) == []
    assert codes(measured(r"Loss=([0-9.]+)")) == ["TS405"]
    assert codes(measured(r"acc=(\S+)")) == ["TS406"]
    assert codes(measured(r"loss(x)?")) == ["TS406"], "a group that took no part"


def test_a_pattern_that_takes_too_long_is_told() -> None:
    samples = metrics.measure([("m", "(a)")], LINES, used_up)
    assert [sample.slow for sample in samples] == [True]
    assert codes(*samples) == ["TS407"]


def test_definitions_that_cannot_be_used_are_not_measured() -> None:
    assert metrics.measure([("a", "("), ("b", "x")], LINES, no_limit) == []
