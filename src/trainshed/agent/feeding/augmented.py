"""One line of an augmented manifest: which of its attributes are streamed, and as what.

Source: Amazon SageMaker developer guide, "Provide Dataset Metadata to Training Jobs with an
Augmented Manifest File": attributes in the order of ``AttributeNames``; what ends in ``-ref`` is an
object's address, and its content is streamed; anything else is streamed as text.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from trainshed.agent.channels.items import BadInput
from trainshed.agent.feeding.parts import Part
from trainshed.stores.objects.addresses import parse

_PREFIX: Final = "ClientError: Data download failed:"
_REFERENCE: Final = "-ref"
_SHOWN: Final = 200
"""Characters of a line that a reason quotes."""


def parts(line: bytes, names: Sequence[str], where: str) -> list[Part]:
    """Return a line's attributes, in the order of ``names``.

    Args:
        line: one JSON object.
        names: ``AttributeNames``.
        where: the line's number and its file, for reasons.

    Raises:
        BadInput: it is no JSON object, or lacks an attribute.
    """
    found = _parsed(line, where)
    return [_part(found, name, where) for name in names]


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    if not line.strip():
        raise BadInput(f"{_PREFIX}{where} is blank; every line must be a JSON object")
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:  # its own words count lines from this one
        why = f"{error.msg} at character {error.colno}"
        raise BadInput(f"{_PREFIX}{where} is not JSON ({why}): {_quoted(line)}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{_PREFIX}{where} is not UTF-8: {_quoted(line)}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{_PREFIX}{where} is not a JSON object: {_quoted(line)}")
    return found


def _part(found: dict[str, Any], name: str, where: str) -> Part:
    if name not in found:
        has = ", ".join(found) or "none"
        raise BadInput(f'{_PREFIX}{where} lacks the attribute "{name}"; it has {has[:_SHOWN]}')
    value = found[name]
    if not name.endswith(_REFERENCE):
        return Part(text=_text(value))
    try:
        return Part(address=parse(value), named_in=where)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(
            f'{_PREFIX}{where} has {str(value)[:_SHOWN]!r} as "{name}", which must be an S3 URI'
        ) from error


def _text(value: object) -> bytes:
    """Return a value as it is streamed: text as it is, all else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _quoted(line: bytes) -> str:
    return repr(line[:_SHOWN].decode("utf-8", "replace"))
