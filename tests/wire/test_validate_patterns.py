"""The model's Java patterns, in Python."""

import pytest

from trainshed.wire.model import OWN, SERVICES, load
from trainshed.wire.patterns import compile_java, matcher, to_python

PATTERNS = sorted(
    {
        (shape.pattern, int(min(shape.max or 2000, 2000)))
        for service in (*SERVICES, OWN)
        for shape in load(service).shapes.values()
        if shape.pattern is not None
    }
)


def test_every_pattern_of_every_service_compiles() -> None:
    assert [pattern for pattern, _ in PATTERNS if compile_java(pattern) is None] == []


def test_no_pattern_takes_for_ever_on_a_value_of_its_length() -> None:
    # The longest words that almost match; a pattern that backtracks without end runs into the
    # test's time limit.
    parts = ("a", "-", "ab", "a-", "a.", "0", "a/", "a:", "s3://a", " ", "a,")
    for pattern, length in PATTERNS:
        matches = matcher(pattern)
        for part in parts:
            matches((part * length)[: length - 1] + "!")
            matches((part * length)[: length - 1] + "\n")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"[\p{L}\p{N}_]*", "Zürich_漢٣", "a b"),
        (r"[\p{L}\p{Z}]+", "a b\u00a0c", "a1"),
        (r"\p{ASCII}*", "plain~", "ä"),
        (r"\A\S[\p{Print}]*\z", "id 1", "id\n"),
        (r"arn:[\p{Alnum}\-]+:x", "arn:aws-cn:x", "arn:aws_cn:x"),
        (r"[\w-_]*", "a-b_c", "a.b"),
        (r"([a-z]*)${1,128}", "abc", "ABC"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\t🙂", "a\n"),
        (r"[[ab]*", "[a", "c"),
        (r"^[a-z]+$", "abc", "abc\n"),
        (r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?", "a-b-c", "a-"),
    ],
)
def test_what_java_spells_otherwise_means_the_same(pattern: str, yes: str, no: str) -> None:
    matches = matcher(pattern)
    assert matches(yes)
    assert not matches(no)


def test_a_group_that_is_repeated_over_its_own_words_is_tried_once() -> None:
    assert to_python("x([-a-z]*[a-z]){0,39}") == "x([-a-z]*[a-z])?"
    assert to_python("x(-*[a-z]){0,39}") == "x(-*[a-z]){0,39}"
    assert to_python("x([a]*[b]){0,39}") == "x([a]*[b]){0,39}"


def test_a_pattern_that_cannot_be_had_in_python_holds_nothing_back() -> None:
    assert compile_java("(") is None
    assert matcher("(")("anything")


def test_digits_and_letters_are_those_of_ascii_as_in_java() -> None:
    assert matcher(r"\d\w")("1a")
    assert not matcher(r"\d")("\N{ARABIC-INDIC DIGIT TWO}")
    assert not matcher(r"\w")("é")
