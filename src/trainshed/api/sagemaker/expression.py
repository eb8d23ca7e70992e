"""A SearchExpression, checked once and made into a function of one record."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainshed.api.sagemaker.comparisons import comparison
from trainshed.api.sagemaker.properties import LISTS, kind_in_list, kind_of, values, walk
from trainshed.api.sagemaker.rejections import invalid

MAX_ELEMENTS: Final = 50
"""Filters, nested filters and subexpressions together (API reference, "Search")."""

Record = Mapping[str, Any]
Matcher = Callable[[Record], bool]


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked SearchExpression."""

    matches: Matcher
    names: frozenset[str]
    """The properties it looks at."""


def parse(expression: Mapping[str, Any] | None) -> Expression:
    """Return the expression, ready to be asked of records; None matches every record.

    Raises:
        RequestRejected: it is empty, too large, or names what training jobs do not have.
    """
    if expression is None:
        return Expression(lambda _: True, frozenset())
    names: set[str] = set()
    for count, element in enumerate(_elements(expression), start=1):
        if count > MAX_ELEMENTS:
            raise invalid(
                f"SearchExpression has more than {MAX_ELEMENTS} filters, nested filters and "
                "subexpressions; ask for less at once."
            )
        names.add(element.get("Name") or element.get("NestedPropertyName") or "")
    return Expression(_expression(expression), frozenset(names - {""}))


def _elements(expression: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every filter, nested filter and subexpression, at any depth."""
    pending = [expression]
    while pending:
        current = pending.pop()
        yield from current.get("Filters") or ()
        for nested in current.get("NestedFilters") or ():
            yield nested
            yield from nested["Filters"]
        for inner in current.get("SubExpressions") or ():
            yield inner
            pending.append(inner)


def _expression(expression: Mapping[str, Any]) -> Matcher:
    parts = [
        *(_filter(one) for one in expression.get("Filters") or ()),
        *(_nested(one) for one in expression.get("NestedFilters") or ()),
        *(_expression(one) for one in expression.get("SubExpressions") or ()),
    ]
    if not parts:
        raise invalid(
            "SearchExpression must have at least one of Filters, NestedFilters and SubExpressions."
        )
    if expression.get("Operator") == "Or":
        return lambda record: any(part(record) for part in parts)
    return lambda record: all(part(record) for part in parts)


def _filter(asked: Mapping[str, Any]) -> Matcher:
    name = asked["Name"]
    kind = kind_of(name)
    if kind is None:
        raise _unknown(name)
    passes = comparison(name, kind, asked.get("Operator") or "Equals", asked.get("Value"))
    return lambda record: passes(values(record, name))


def _nested(asked: Mapping[str, Any]) -> Matcher:
    """Return whether one element of a list passes all the nested filters."""
    owner = asked["NestedPropertyName"]
    if owner not in LISTS:
        raise invalid(
            f"NestedPropertyName {owner} is no list of a TrainingJob; "
            f"lists are {', '.join(sorted(LISTS))}."
        )
    parts = [_nested_filter(owner, one) for one in asked["Filters"]]
    path = owner.split(".")
    return lambda record: any(
        all(part(element) for part in parts) for element in walk(record, path)
    )


def _nested_filter(owner: str, asked: Mapping[str, Any]) -> Matcher:
    name = asked["Name"]
    kind = kind_in_list(name) if name.startswith(f"{owner}.") else None
    if kind is None:
        raise _unknown(name)
    path = name.removeprefix(f"{owner}.").split(".")
    passes = comparison(name, kind, asked.get("Operator") or "Equals", asked.get("Value"))
    return lambda element: passes(walk(element, path))


def _unknown(name: str) -> Exception:
    return invalid(f"{name} is no property of a TrainingJob that can be searched.")
