"""What an object asked of the service, remembered in its status: where, and of which spec.

A digest for each member of the spec tells later which ones were edited. It is written before the
call is made, so whatever is found at the service after a crash is held against the spec that asked
for it, and looked for where it was asked.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from trainshed.operator.mapping import OURS
from trainshed.operator.objects import Object, Place

MEMBER: Final = "submitted"
_CHANGEABLE: Final = OURS - {"region", "sagemakerendpoint"}
"""Members of a spec that may be edited at any time, in lower case."""


def record(spec: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return what to remember of a spec that is submitted as ``name``."""
    members = {
        "name": name,
        "region": str(spec.get("region", "")),
        "endpoint": str(spec.get("sageMakerEndpoint", "")),
        "digests": " ".join(f"{member}={digest}" for member, digest in _digests(spec).items()),
    }
    # Some builds of 1.20 refuse texts that are empty.
    return {member: text for member, text in members.items() if text}


def of(thing: Object) -> Mapping[str, str]:
    """Return what was remembered; empty when nothing was submitted."""
    return thing.status.get(MEMBER) or {}


def place(thing: Object) -> Place:
    """Return where an object's resource is, or is to be."""
    told = of(thing)
    if told:
        return Place(told.get("endpoint", ""), told.get("region", ""))
    return Place(str(thing.spec.get("sageMakerEndpoint", "")), str(thing.spec.get("region", "")))


def edited(thing: Object) -> tuple[str, ...]:
    """Return the members of the spec that are not what was submitted, in order of their names."""
    old = dict(pair.partition("=")[::2] for pair in of(thing).get("digests", "").split())  # type: dict[str, str]
    new = _digests(thing.spec)
    if not old:
        return ()
    return tuple(name for name in sorted({*old, *new}) if old.get(name) != new.get(name))


def _digests(spec: Mapping[str, Any]) -> dict[str, str]:
    return {
        member: hashlib.blake2b(
            json.dumps(value, sort_keys=True).encode(), digest_size=4
        ).hexdigest()
        for member, value in sorted(spec.items())
        if member.lower() not in _CHANGEABLE
    }
