"""XML documents to values, by the model.

Only elements, attributes and text are read. A document type is refused before its entities are
known, so nothing can be expanded or fetched.
"""

from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from trainshed.wire.model import Ref, ServiceModel, Shape, Value
from trainshed.wire.protocols.texts import read_text

DEEPEST: Final = 64
"""Levels of elements; the deepest S3 request has seven."""


class NotReadable(ValueError):
    """The document is no XML, or not of the model's form."""


@dataclass(slots=True)
class Node:
    """An element; names are without namespace prefixes."""

    tag: str
    attributes: dict[str, str]
    children: list["Node"] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> list["Node"]:
        """Return the children of that name."""
        return [child for child in self.children if child.tag == tag]

    def first(self, tag: str) -> "Node | None":
        """Return the first child of that name, None when there is none."""
        return next((child for child in self.children if child.tag == tag), None)


def read_document(body: bytes) -> Node:
    """Return the root of an XML document.

    Raises:
        NotReadable: it is not well-formed, has a document type, or is nested too deeply.
    """
    document = Node("", {})
    stack = [document]
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEEPEST:
            raise NotReadable("nested too deeply")
        node = Node(_local(name), {_local(key): text for key, text in attributes.items()})
        stack[-1].children.append(node)
        stack.append(node)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError) as error:  # LookupError: no such encoding
        raise NotReadable(str(error)) from error
    return document.children[0]


def read_value(model: ServiceModel, ref: Ref, node: Node) -> Value:
    """Return the value that an element holds.

    Raises:
        NotReadable: a text is not of the model's type.
    """
    shape = model.shape_of(ref)
    match shape.type:
        case "structure":
            return read_structure(model, shape, node)
        case "list":
            tag = shape.element.location_name or "member"
            return [read_value(model, shape.element, item) for item in node.all(tag)]
        case "map":
            return _entries(model, shape, node.all("entry"))
        case _:
            try:
                return read_text(node.text, shape, ref.timestamp_format or shape.timestamp_format)
            except ValueError as error:
                raise NotReadable(f"{node.tag}: {error}") from error


def read_structure(model: ServiceModel, shape: Shape, node: Node) -> dict[str, Value]:
    """Return the members that stand in the element; others in it are passed over.

    Raises:
        NotReadable: a text is not of the model's type.
    """
    result: dict[str, Value] = {}
    for name, ref in shape.members.items():
        if ref.location is not None:
            continue
        found = _member(model, name, ref, node)
        if found is not None:
            result[name] = found
    return result


def _member(model: ServiceModel, name: str, ref: Ref, node: Node) -> Value:
    tag = ref.location_name or name
    if ref.xml_attribute:
        return node.attributes.get(_local(tag))
    shape = model.shape_of(ref)
    if not (ref.flattened or shape.flattened):
        child = node.first(tag)
        return None if child is None else read_value(model, ref, child)
    if shape.type == "map":
        entries = node.all(tag)
        return _entries(model, shape, entries) if entries else None
    items = node.all(tag) or node.all(shape.element.location_name or tag)
    return [read_value(model, shape.element, item) for item in items] or None


def _entries(model: ServiceModel, shape: Shape, entries: list[Node]) -> dict[str, Value]:
    key, value = shape.map_key, shape.map_value
    result = {}
    for entry in entries:
        name = entry.first(key.location_name or "key")
        item = entry.first(value.location_name or "value")
        if name is None or item is None:
            raise NotReadable(f"{entry.tag}: an entry needs a key and a value")
        result[name.text] = read_value(model, value, item)
    return result


def _refuse_doctype(*_: object) -> NoReturn:
    raise NotReadable("a document type is not allowed")


def _local(name: str) -> str:
    return name.rpartition(":")[2]
