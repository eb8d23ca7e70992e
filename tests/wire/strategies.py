"""Values that a service model allows, made from the model itself."""

import re
import string
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from trainshed.wire.model import Ref, ServiceModel, Shape
from trainshed.wire.patterns import compile_java

VISIBLE = string.ascii_letters + string.digits + "_.=@-"
TEXT = VISIBLE + " /:<>&'\"[]{}()+%#?;,äßé漢字🙂"
ONE_CLASS = re.compile(r"\^?\(?(\.|\\p\{\w+\}|\[(?:[^]\\]|\\.)+\])([*+]|\{[01],\d+\})\)?\$?")
"""Patterns that only say which characters may be used."""
BIG = 2**31 - 1
DEEP = 4
COMPOUND = {"structure", "list", "map"}


def values(model: ServiceModel, ref: Ref, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return valid values of what ``ref`` uses.

    XML and forms cannot tell an empty list from none, so there nothing is empty.
    """
    shape = model.shape_of(ref)
    least = max(int(shape.min or 0), 0 if model.protocol == "json" else 1)
    most = min(int(least + 2 if shape.max is None else shape.max), least + 2)
    match shape.type:
        case "structure":
            return structures(model, shape, depth)
        case "list":
            elements = values(model, shape.element, depth + 1)
            return st.lists(elements, min_size=least, max_size=most)
        case "map" if ref.location == "headers":
            names = st.text(st.sampled_from("abcxyz0189-_"), min_size=1, max_size=12)
            return st.dictionaries(
                names, st.text(st.sampled_from(VISIBLE), min_size=1), min_size=1, max_size=3
            )
        case "map":
            keys = values(model, shape.map_key, depth + 1)
            elements = values(model, shape.map_value, depth + 1)
            return st.dictionaries(keys, elements, min_size=least, max_size=most)
        case _:
            return scalars(model, shape, ref)


def structures(model: ServiceModel, shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return valid structures: what is required, and some of the rest unless deep down."""
    members = {
        name: ref
        for name, ref in shape.members.items()
        if not model.shape_of(ref).eventstream
        and name != "Expires"  # a string in the data, a timestamp in botocore's patched model
    }
    if depth > DEEP:
        members = {
            name: ref
            for name, ref in members.items()
            if name in shape.required or model.shape_of(ref).type not in COMPOUND
        }
    required = set(shape.required) & set(members)
    optional = sorted(set(members) - required)
    least = 1 if shape.union or (model.protocol != "json" and not required) else 0
    most = 1 if shape.union else 4

    @st.composite
    def draw_structure(draw: st.DrawFn) -> dict[str, Any]:
        names = set(required)
        if optional:
            chosen = st.sampled_from(optional)
            names |= draw(st.sets(chosen, min_size=least, max_size=most))
        return {name: draw(values(model, members[name], depth + 1)) for name in sorted(names)}

    return draw_structure()


def scalars(model: ServiceModel, shape: Shape, ref: Ref) -> st.SearchStrategy[Any]:
    """Return valid single values, writable where the model puts them."""
    match shape.type:
        case "string":
            return strings(model, shape, ref)
        case "integer" | "long":
            least = int(-BIG if shape.min is None else shape.min)
            return st.integers(least, int(BIG if shape.max is None else shape.max))
        case "float" | "double":
            least = -1e6 if shape.min is None else float(shape.min)
            return st.floats(least, 1e6 if shape.max is None else float(shape.max), width=32)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return moments(whole=ref.location is not None or bool(shape.timestamp_format))
        case "blob":
            least = int(shape.min or 0)
            return st.binary(min_size=max(least, 1), max_size=max(least, 20))
        case other:
            raise ValueError(other)


def strings(model: ServiceModel, shape: Shape, ref: Ref) -> st.SearchStrategy[str]:
    """Return strings of the shape's enum, pattern and length."""
    if shape.enum:
        return st.sampled_from(shape.enum)
    least = max(int(shape.min or 0), 0 if model.protocol == "json" and not ref.location else 1)
    most = 10**6 if shape.max is None else int(shape.max)
    alphabet = VISIBLE if ref.location else TEXT
    pattern = compile_java(shape.pattern) if shape.pattern else None
    if pattern is not None and not ONE_CLASS.fullmatch(shape.pattern or ""):
        return st.from_regex(pattern, fullmatch=True, alphabet=st.sampled_from(TEXT)).filter(
            lambda text: least <= len(text) <= most and text == text.strip()
        )
    if pattern is not None:
        least = max(least, 0 if pattern.fullmatch("") else 1)
        alphabet = "".join(char for char in alphabet if pattern.fullmatch(char * max(least, 1)))
    return st.text(st.sampled_from(alphabet), min_size=least, max_size=max(least, min(most, 12)))


def moments(*, whole: bool) -> st.SearchStrategy[datetime]:
    """Return points in time, to the second when ``whole``, else to the millisecond."""
    unit = timedelta(seconds=1) if whole else timedelta(milliseconds=1)
    start = datetime(1990, 1, 1, tzinfo=UTC)
    return st.integers(0, int(timedelta(days=20000) / unit)).map(lambda n: start + n * unit)
