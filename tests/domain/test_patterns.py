"""Of several patterns the one counts that says most of a name, in whatever order they stand."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.domain.patterns import closest, value

PATTERNS = ("*", "ml.*", "ml.p3.*", "ml.p?.2xlarge", "ml.p3.2xlarge")
names = st.sampled_from(["ml.p3.2xlarge", "ml.p4.2xlarge", "ml.p3.8xlarge", "ml.m5.large", "x"])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ml.p3.2xlarge", "ml.p3.2xlarge"),
        ("ml.p4.2xlarge", "ml.p?.2xlarge"),
        ("ml.p3.8xlarge", "ml.p3.*"),
        ("ml.m5.large", "ml.*"),
        ("local", "*"),
    ],
)
def test_the_closest_pattern_counts(name: str, found: str) -> None:
    assert closest(name, PATTERNS) == found
    assert closest(name, ()) is None


@given(names, st.permutations(PATTERNS))
def test_order_means_nothing(name: str, patterns: Sequence[str]) -> None:
    assert closest(name, patterns) == closest(name, PATTERNS)
    assert value(name, [(each, each) for each in patterns]) == closest(name, PATTERNS)


def test_of_patterns_that_say_as_much_the_first_counts() -> None:
    assert closest("ab", ["a*", "*b"]) == "a*"
    assert value("ab", [("a*", 1), ("*b", 2), ("a*", 3)]) == 1
    assert value("c", [("a*", 1)]) is None
