"""The operators of a Search filter, for each kind of property."""

import math
import operator as op
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from trainshed.api.sagemaker.properties import Kind
from trainshed.api.sagemaker.rejections import invalid

Test = Callable[[Sequence[Any]], bool]
"""Tells whether the values a record has under a filter's property pass it."""
Order = Callable[[Any, Any], bool]

_ORDERS: Final[dict[str, Order]] = {
    "GreaterThan": op.gt,
    "GreaterThanOrEqualTo": op.ge,
    "LessThan": op.lt,
    "LessThanOrEqualTo": op.le,
}
_WORDS: Final = frozenset({"Contains", "In"})
_ALWAYS: Final = frozenset({"Exists", "NotExists"})
_EQUALITY: Final = _ALWAYS | {"Equals", "NotEquals"}
_OFFERED: Final = {
    Kind.TEXT: _EQUALITY | _WORDS,
    Kind.NUMBER: _EQUALITY | _ORDERS.keys(),
    Kind.TIME: _EQUALITY | _ORDERS.keys(),
    Kind.TRUTH: _EQUALITY,
    Kind.FREE: _EQUALITY | _WORDS | _ORDERS.keys(),
    Kind.WHOLE: _ALWAYS,
}


def comparison(name: str, kind: Kind, operator: str, value: str | None) -> Test:
    """Return the test that one filter makes.

    A list's values pass when one of them does. NotEquals and NotExists are the opposites of
    Equals and Exists, so a record without the property passes both.

    Raises:
        RequestRejected: the operator or the value does not fit the property.
    """
    if operator not in _OFFERED[kind]:
        raise invalid(f"Operator {operator} is not supported for the {kind} property {name}.")
    if operator == "Exists":
        return bool
    if operator == "NotExists":
        return op.not_
    if value is None:
        raise invalid(f"The filter on {name} with operator {operator} needs a Value.")
    one = _one(name, kind, operator, value)
    if operator == "NotEquals":
        return lambda found: not any(map(one, found))
    return lambda found: any(map(one, found))


def _one(name: str, kind: Kind, operator: str, value: str) -> Callable[[Any], bool]:
    """Return the test of a single value."""
    if operator == "Contains":
        return lambda found: value in found
    if operator == "In":
        words = {word.strip() for word in value.split(",")}
        return lambda found: found in words
    order: Order = _ORDERS.get(operator, op.eq)
    match kind:
        case Kind.NUMBER:
            number = _asked_number(name, value)
            return lambda found: order(found, number)
        case Kind.TIME:
            return _at_moment(name, value, order)
        case Kind.FREE:
            return _as_number_if_it_is_one(value, order)
        case Kind.TRUTH:
            if value.lower() not in {"true", "false"}:
                raise invalid(f"The value of {name} must be true or false; found {value!r}.")
            return lambda found: found is (value.lower() == "true")
        case _:
            return lambda found: found == value


def _asked_number(name: str, value: str) -> float:
    number = number_in(value)
    if number is None:
        raise invalid(
            f"The value of {name} must be an integer or a floating-point decimal; found {value!r}."
        )
    return number


def _at_moment(name: str, value: str, order: Order) -> Callable[[datetime], bool]:
    """Return the test of a timestamp, in whole seconds unless the value has a fraction."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise invalid(
            f"The value of {name} must be an ISO 8601 date-time such as 2026-01-31T12:00:00; "
            f"found {value!r}."
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.microsecond:
        return lambda found: order(found, moment)
    return lambda found: order(found.replace(microsecond=0), moment)


def _as_number_if_it_is_one(value: str, order: Order) -> Callable[[str], bool]:
    """Return the test of a hyperparameter.

    Compared with an integer, a decimal hyperparameter counts as an integer: the API's rule.
    """
    asked = number_in(value)
    if asked is None:
        return lambda found: order is op.eq and found == value
    whole = _is_integer(value)

    def test(found: str) -> bool:
        number = number_in(found)
        if number is None:
            return False
        return order(math.trunc(number) if whole else number, asked)

    return test


def number_in(text: str) -> float | None:
    """Return the finite number a text is, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True
