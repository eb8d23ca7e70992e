"""Values to XML documents, by the model; each shape is compiled once into closures."""

from collections.abc import Callable
from functools import cache
from typing import Final

from trainshed.wire.model import Namespace, Ref, ServiceModel, Shape, Value
from trainshed.wire.protocols.texts import text_writer

Writer = Callable[[Value, list[str]], None]
"""Appends the XML of a value to a list of texts."""

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'

_ESCAPES: Final = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        **{
            chr(code): f"&#{code};"  # a bare one would be dropped, or made a line feed
            for code in (*range(9), 11, 12, 13, *range(14, 32), 0x85, 0x2028)
        },
    }
)


def escape(text: str) -> str:
    """Return ``text`` as it stands in an element or attribute."""
    return text.translate(_ESCAPES)


def element(tag: str, text: str) -> str:
    """Return an element that holds text."""
    return f"<{tag}>{escape(text)}</{tag}>"


def document(
    model: ServiceModel, shape: str, value: Value, *, root: str, namespace: str | None
) -> str:
    """Return ``value`` as an XML document, without declaration.

    Raises:
        ValueError: ``value`` does not fit the model.
    """
    xmlns = f' xmlns="{escape(namespace)}"' if namespace else ""
    out = [f"<{root}{xmlns}>"]
    _compiler(model).shape(shape)(value, out)
    out.append(f"</{root}>")
    return "".join(out)


def content(model: ServiceModel, shape: str, value: Value) -> str:
    """Return what stands inside of an element that holds ``value``.

    Raises:
        ValueError: ``value`` does not fit the model.
    """
    out: list[str] = []
    _compiler(model).shape(shape)(value, out)
    return "".join(out)


@cache
def _compiler(model: ServiceModel) -> "_Compiler":
    return _Compiler(model)


class _Compiler:
    """Makes one writer of an element's inside per shape of a service."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self.made: dict[str, Writer] = {}

    def shape(self, name: str) -> Writer:
        if name not in self.made:
            shape = self.model.shapes[name]
            match shape.type:
                case "structure":
                    self.structure(name, shape)
                case "list":
                    self.list(name, shape)
                case "map":
                    self.map(name, shape, "entry", flattened=False)
                case _:
                    self.made[name] = _text(text_writer(shape, shape.timestamp_format or "iso8601"))
        return self.made[name]

    def structure(self, name: str, shape: Shape) -> None:
        members: dict[str, Writer] = {}

        def written(value: Value, out: list[str]) -> None:
            for member, item in _members(value, name).items():
                if item is None:
                    continue
                write = members.get(member)
                if write is None:
                    raise ValueError(f"{name} has no member {member} in its XML")
                write(item, out)

        self.made[name] = written
        for member, ref in shape.members.items():
            if ref.xml_attribute:
                members[member] = _nothing  # it stands in the tag
            elif ref.location is None:
                members[member] = self.member(member, ref)

    def member(self, name: str, ref: Ref) -> Writer:
        """Return the writer of a member with its own tags."""
        shape = self.model.shape_of(ref)
        tag = ref.location_name or name
        if not (ref.flattened or shape.flattened):
            return self.tagged(tag, ref)
        if shape.type == "map":
            return self.map(f"{ref.shape} as {tag}", shape, tag, flattened=True)
        each = self.tagged(shape.element.location_name or tag, shape.element)

        def written(value: Value, out: list[str]) -> None:
            for item in _items(value, name):
                each(item, out)

        return written

    def tagged(self, tag: str, ref: Ref) -> Writer:
        shape = self.model.shape_of(ref)
        inside = self.shape(ref.shape)
        attributes = {
            member: used.location_name or member
            for member, used in shape.members.items()
            if used.xml_attribute
        }
        start, end = f"<{tag}{_xmlns(ref.xml_namespace or shape.xml_namespace)}", f"</{tag}>"

        def written(value: Value, out: list[str]) -> None:
            out.append(start)
            for member, name in attributes.items():
                if value.get(member) is not None:
                    out.append(f' {name}="{escape(value[member])}"')
            out.append(">")
            inside(value, out)
            out.append(end)

        def plain(value: Value, out: list[str]) -> None:
            out.append(opening)
            inside(value, out)
            out.append(end)

        opening = start + ">"
        return written if attributes else plain

    def list(self, name: str, shape: Shape) -> None:
        each: Writer

        def written(value: Value, out: list[str]) -> None:
            for item in _items(value, name):
                each(item, out)

        self.made[name] = written
        each = self.tagged(shape.element.location_name or "member", shape.element)

    def map(self, name: str, shape: Shape, tag: str, *, flattened: bool) -> Writer:
        key_tag = shape.map_key.location_name or "key"
        each: Writer

        def written(value: Value, out: list[str]) -> None:
            for key, item in _members(value, name).items():
                out.append(f"<{tag}>{element(key_tag, key)}")
                each(item, out)
                out.append(f"</{tag}>")

        if not flattened:
            self.made[name] = written
        each = self.tagged(shape.map_value.location_name or "value", shape.map_value)
        return written


def _text(write: Callable[[Value], str]) -> Writer:
    return lambda value, out: out.append(escape(write(value)))


def _nothing(_: Value, __: list[str]) -> None:
    return


def _members(value: Value, name: str) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    raise ValueError(f"{name} holds members; found {value!r}")


def _items(value: Value, name: str) -> list[Value] | tuple[Value, ...]:
    if isinstance(value, (list, tuple)):
        return value
    raise ValueError(f"{name} is a list; found {value!r}")


def _xmlns(namespace: Namespace | None) -> str:
    if namespace is None:
        return ""
    prefix = f":{namespace.prefix}" if namespace.prefix else ""
    return f' xmlns{prefix}="{escape(namespace.uri)}"'
