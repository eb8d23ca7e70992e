"""What a CreateTrainingJob says with tags: how the job stands among others, where else it may run.

The API has no members for these. Whoever leaves the tags out gets what the service would do.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any, Final

from trainshed.api.sagemaker.rejections import invalid
from trainshed.domain import instances, names

TOP_PRIORITY: Final = 99
_YES_OR_NO: Final = {"true": True, "false": False}


def standing(
    tags: Mapping[str, str], request: Mapping[str, Any], projects: Collection[str] = ()
) -> dict[str, Any]:
    """Return those members of ``TrainingJob`` that the tags say something of.

    Args:
        tags: the job's.
        request: the rest of what is asked.
        projects: those that a job may name; () for any.

    Raises:
        RequestRejected: a tag's value is none that it may have.
    """
    found: dict[str, Any] = {}
    if name := tags.get(names.PROJECT_TAG):
        found["project"] = _project(name, projects)
    if (text := tags.get(names.PRIORITY_TAG)) is not None:
        found["priority"] = _priority(text)
    if (text := tags.get(names.PREEMPTIBLE_TAG)) is not None:
        found["preemptible"] = _preemptible(text)
    if (text := tags.get(names.INSTANCE_TYPES_TAG)) is not None:
        found["instance_types"] = _instance_types(text, request)
    return found


def _project(name: str, projects: Collection[str]) -> str:
    if projects and name not in projects:
        raise invalid(
            f"Tag {names.PROJECT_TAG!r} names the project {name!r}, which this server does not "
            f"have; it has: {', '.join(sorted(projects))}."
        )
    return name


def _priority(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= TOP_PRIORITY):
        raise invalid(
            f"Tag {names.PRIORITY_TAG!r} is {text!r}; a priority is a whole number from 0 to "
            f"{TOP_PRIORITY}, and {TOP_PRIORITY} goes first."
        )
    return int(text)


def _preemptible(text: str) -> bool:
    if text.lower() not in _YES_OR_NO:
        raise invalid(f"Tag {names.PREEMPTIBLE_TAG!r} is {text!r}; it is true or false.")
    return _YES_OR_NO[text.lower()]


def _instance_types(text: str, request: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the job may run on, best first: what the request names, then the others."""
    named = tuple(dict.fromkeys(text.split()))
    if not named:
        raise invalid(f"Tag {names.INSTANCE_TYPES_TAG!r} names no instance type.")
    for name in named:
        if not name.startswith("ml.") or instances.known(name) is None:
            alike = difflib.get_close_matches(name, instances.types(), n=3)
            hint = f"; did you mean {' or '.join(alike)}?" if alike else "."
            raise invalid(
                f"Tag {names.INSTANCE_TYPES_TAG!r} names {name!r}, which is no instance type{hint}"
            )
    resources = request.get("ResourceConfig") or {}
    if resources.get("InstanceGroups"):
        raise invalid(
            f"Tag {names.INSTANCE_TYPES_TAG!r} is not for jobs with InstanceGroups; they name the "
            "type of each group."
        )
    return tuple(dict.fromkeys([resources["InstanceType"], *named]))
