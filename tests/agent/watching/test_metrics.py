"""Metrics: the last number of each, found without looking at lines that cannot have one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.agent.watching.literals import literal_of
from trainshed.agent.watching.metrics import Metrics


def found(pattern: str, lines: bytes) -> list[float]:
    complaints: list[str] = []
    metrics = Metrics([{"Name": "m", "Regex": pattern}], complaints.append)
    metrics.scan(lines, 5000)
    assert not complaints
    points = metrics.drain()
    assert all((name, at) == ("m", 5.0) for name, _, at in points)
    return [value for _, value, _ in points]


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("loss=([0-9.]+)", "loss="),
        (
            r".*\[[0-9]+\]#011train-rmse:([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*",
            "]#011train-rmse:",
        ),
        (r"#quality_metric: host=\S+, train mse <loss>=(\S+)", "#quality_metric: host="),
        ("^epoch ([0-9]+)$", "epoch "),
        ("(?P<x>a)bcd*e", "bc"),
        ("ab?cdx{0}(.)", "cd"),
        (r"a\.b=(.)", "a.b="),
        (r"\x41bc(.)", ""),
        ("loss|accuracy=(.)", ""),
        ("(?i)loss=(.)", ""),
        ("(?x) loss = (.)", ""),
        ("(?=loss)(.)", ""),
        ("(loss=)(.)", ""),
        ("[(]a]b(.)", ""),
        ("a{b(.)", ""),
        ("(.)", ""),
    ],
)
def test_what_a_matching_line_must_contain_is_told_from_the_pattern(
    pattern: str, literal: str
) -> None:
    assert literal_of(re.compile(pattern)) == literal


PARTS = st.sampled_from(
    [
        *"abc01=.*+?()[]{}|^$\\-,: ",
        r"\d",
        r"\.",
        r"\[",
        r"\b",
        "(?:",
        "[a-b]",
        "[^]a]",
        "{2}",
        "{0,1}",
        *["(a)", "ab", r"\x61", "(?i:", "(?=", "(?P<n>", "é"],
    ]
)


@given(st.lists(PARTS, max_size=8), st.lists(st.sampled_from([*"abc01=.[]{}(:-, é"]), max_size=12))
def test_no_text_matches_without_the_literal(parts: list[str], text: list[str]) -> None:
    try:
        pattern = re.compile("".join(parts))
    except (re.error, OverflowError, FutureWarning):
        return
    if pattern.search("".join(text)):
        assert literal_of(pattern) in "".join(text)


@pytest.mark.parametrize("prefix", ["", "(?:x|)"])
@given(
    st.lists(
        st.sampled_from(
            [
                b"",
                b"m=1",
                b"m=2.5;m=9",
                b"m=nan",
                b"m=x",
                b"other",
                b"am=3 ",
                b"\xffm=4",
                b"m",
                b"m=",
            ]
        )
    )
)
def test_the_last_line_with_a_number_counts(prefix: str, texts: list[bytes]) -> None:
    lines = b"".join(text + b"\n" for text in texts)
    values = [re.search(rb"m=([0-9.]+)", text) for text in texts]
    expected = [float(value[1]) for value in values if value][-1:]
    assert found(prefix + "m=([^; ]*)", lines) == expected


def test_a_pattern_never_sees_two_lines_at_once() -> None:
    assert found("m=([^;]+)", b"m=1\n2;\n") == [1.0]
    assert found(r"^m=(\d+)$", b"a\nm=1\nb\n") == [1.0]
    assert found(r"a\s+m=(\d+)", b"a\nm=1\n") == []
