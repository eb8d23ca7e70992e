"""Checks a request against the model, and says what is wrong in the service's own words.

botocore checks only required members and types before it sends; the service checks lengths,
patterns, enums and ranges, and clients match on the texts it answers with. Each input shape is
compiled once into closures that check and convert in one walk: JSON values become the model's
Python types (see ``wire.message``), members that the model does not know are dropped, because
newer clients send them.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final, NoReturn

from trainshed.domain.errors import RequestRejected
from trainshed.wire import faults
from trainshed.wire.faults import At, fault, unlike
from trainshed.wire.model import Ref, ServiceModel, Shape, Value
from trainshed.wire.scalars import Checker, bounds, scalar

MOST_FAULTS: Final = 100
"""Faults after which lists and maps are looked at no further: an answer stays far smaller than the
request, however much is wrong with it."""

_COMPOUND: Final = frozenset({"structure", "list", "map"})


def check(model: ServiceModel, shape: str, params: Mapping[str, Value]) -> list[str]:
    """Return what is wrong with ``params``, one text per fault; [] when nothing is.

    Raises:
        RequestRejected: a value is of another type than the model's.
    """
    wrong: list[str] = []
    checker(model, shape, json=False)(params, None, wrong)
    return wrong


def reject(wrong: list[str], code: str = "ValidationException") -> NoReturn:
    """Raise what the service raises for these faults.

    Raises:
        RequestRejected: always.
    """
    raise RequestRejected(code, summary(wrong))


def summary(wrong: list[str]) -> str:
    """Return the faults as one message."""
    errors = "error" if len(wrong) == 1 else "errors"
    return f"{len(wrong)} validation {errors} detected: {'; '.join(wrong)}"


def checker(model: ServiceModel, shape: str, *, json: bool) -> Checker:
    """Return the check of a shape, compiled on first use.

    Args:
        model: the service.
        shape: the name of the shape.
        json: whether values come as JSON has them (timestamps as numbers, blobs as base64,
            members by their wire names) or already as the model's Python types.
    """
    return _compiler(model, json).shape(shape, None)


@cache
def _compiler(model: ServiceModel, json: bool) -> "_Compiler":
    return _Compiler(model, json)


class _Compiler:
    """Makes one check per shape of a service.

    A compound check is kept before its parts are made, because a shape may contain itself.
    """

    def __init__(self, model: ServiceModel, json: bool) -> None:
        self.model = model
        self.json = json
        self.made: dict[tuple[str, str | None], Checker] = {}

    def ref(self, ref: Ref) -> Checker:
        return self.shape(ref.shape, ref.timestamp_format)

    def shape(self, name: str, timestamp_format: str | None) -> Checker:
        key = (name, timestamp_format)
        if key not in self.made:
            shape = self.model.shapes[name]
            match shape.type:
                case "structure":
                    self.structure(key, shape)
                case "list":
                    self.list(key, shape)
                case "map":
                    self.map(key, shape)
                case _:
                    self.made[key] = scalar(
                        shape, json=self.json, timestamp_format=timestamp_format
                    )
        return self.made[key]

    def structure(self, key: tuple[str, str | None], shape: Shape) -> None:
        members: dict[str, tuple[str, str, Checker]] = {}
        required = tuple((name, faults.label(name)) for name in shape.required)
        union = shape.union

        def checked(value: Value, at: At, wrong: list[str]) -> Value:
            if type(value) is not dict:
                raise unlike(value, "structure", at)
            result = {}
            for wire_name, given in value.items():
                known = members.get(wire_name)
                if known is not None and given is not None:
                    name, label, member = known
                    result[name] = member(given, (at, label), wrong)
            for name, label in required:
                if name not in result:
                    wrong.append(faults.missing((at, label)))
            if union and len(result) != 1:
                wrong.append(fault(value, shape, at, faults.ONE_OF_UNION))
            return result

        self.made[key] = checked
        for name, ref in shape.members.items():
            wire_name = (ref.location_name or name) if self.json else name
            members[wire_name] = (name, faults.label(name), self.ref(ref))

    def list(self, key: tuple[str, str | None], shape: Shape) -> None:
        least, most = bounds(shape)
        inner = self.model.shape_of(shape.element)
        compound = inner.type in _COMPOUND
        element: Checker

        def checked(value: Value, at: At, wrong: list[str]) -> Value:
            if type(value) is not list:
                raise unlike(value, "list", at)
            if not least <= len(value) <= most:
                wrong.append(fault(value, shape, at, faults.bound(len(value), shape)))
            if None in value:
                wrong.append(fault(value, shape, at, _every([faults.NOT_NULL])))
                value = [item for item in value if item is not None]
            result = []
            bad: list[str] = []
            for number, item in enumerate(value, 1):
                if compound:
                    result.append(element(item, ((at, number), "member"), wrong))
                else:
                    result.append(element(item, at, bad))
                if bad or len(wrong) > MOST_FAULTS:
                    break
            if bad:
                wrong.append(fault(value, shape, at, _every(faults.constraints(inner))))
            return result

        self.made[key] = checked
        element = self.ref(shape.element)

    def map(self, key: tuple[str, str | None], shape: Shape) -> None:
        least, most = bounds(shape)
        keys, inner = self.model.shape_of(shape.map_key), self.model.shape_of(shape.map_value)
        compound = inner.type in _COMPOUND
        check_key = self.ref(shape.map_key)
        element: Checker

        def checked(value: Value, at: At, wrong: list[str]) -> Value:
            if type(value) is not dict:
                raise unlike(value, "map", at)
            if not least <= len(value) <= most:
                wrong.append(fault(value, shape, at, faults.bound(len(value), shape)))
            bad_keys: list[str] = []
            bad: list[str] = []
            result = {}
            for name, given in value.items():
                check_key(name, at, bad_keys)
                if len(bad_keys) + len(bad) + len(wrong) > MOST_FAULTS:
                    break
                if given is None:
                    continue
                if compound:
                    result[name] = element(given, ((at, name), "member"), wrong)
                else:
                    result[name] = element(given, at, bad)
            if bad_keys:
                wrong.append(fault(value, shape, at, _every(faults.constraints(keys), "Map keys")))
            if bad:
                tail = _every(faults.constraints(inner), "Map value")
                wrong.append(fault(value, shape, at, tail))
            return result

        self.made[key] = checked
        element = self.ref(shape.map_value)


def _every(tails: list[str], whose: str = "Member") -> str:
    return f"{whose} must satisfy constraint: [{', '.join(tails)}]"
