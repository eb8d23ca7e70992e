"""What a CreateTrainingJob says with tags: how the job stands among others, where else it may run.

The API has no members for these. Whoever leaves the tags out gets what the service would do.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from trainshed.api.sagemaker.rejections import invalid
from trainshed.domain import instances, names

TOP_PRIORITY: Final = 99
DEFAULT_PROJECT: Final = "default"
"""What a tag may call the project of the jobs that name none."""
_YES_OR_NO: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a server's settings say of who may ask for what."""

    projects: Collection[str] = ()
    """Those that a job may name; () for any."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Whose jobs they are that name none, by the access key that signed."""
    types: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By backend, patterns of the instance types that it knows besides Amazon's."""
    backend: str = ""
    """The one of jobs that name none."""
    spot_needs_checkpoints: bool = False
    """Whether spot training without a CheckpointConfig is refused."""


ANYTHING: Final = Rules()


def standing(
    tags: Mapping[str, str],
    request: Mapping[str, Any],
    rules: Rules = ANYTHING,
    access_key: str = "",
) -> dict[str, Any]:
    """Return those members of ``TrainingJob`` that a request says something of.

    Args:
        tags: the job's.
        request: the rest of what is asked.
        rules: what may be asked.
        access_key: who asks; "" for nobody who is known.

    Raises:
        RequestRejected: a tag's value is none that it may have, or asks for what is not allowed.
    """
    found: dict[str, Any] = {}
    if project := _project(tags.get(names.PROJECT_TAG, ""), rules, access_key):
        found["project"] = project
    if (text := tags.get(names.PRIORITY_TAG)) is not None:
        found["priority"] = _priority(text)
    if (text := tags.get(names.PREEMPTIBLE_TAG)) is not None:
        found["preemptible"] = _preemptible(text, request)
    resources = request.get("ResourceConfig") or {}
    if (text := tags.get(names.INSTANCE_TYPES_TAG)) is not None:
        known = rules.types.get(tags.get(names.BACKEND_TAG) or rules.backend, ())
        found["instance_types"] = _instance_types(text, resources, known)
    elif preferences := resources.get("InstancePreferences"):
        found["instance_types"] = tuple(each["InstanceType"] for each in preferences)
    if rules.spot_needs_checkpoints and _unsaved(request):
        raise invalid(
            "EnableManagedSpotTraining without a CheckpointConfig: this server runs spot training "
            "only with checkpoints, from which it goes on after an interruption; add a "
            "CheckpointConfig, or leave EnableManagedSpotTraining out."
        )
    return found


def _unsaved(request: Mapping[str, Any]) -> bool:
    return bool(request.get("EnableManagedSpotTraining")) and not request.get("CheckpointConfig")


def _project(name: str, rules: Rules, access_key: str) -> str:
    if not name:
        return rules.keys.get(access_key, "")
    if name == DEFAULT_PROJECT:
        return ""
    if rules.projects and name not in rules.projects:
        raise invalid(
            f"Tag {names.PROJECT_TAG!r} names the project {name!r}, which this server does not "
            f"have; it has: {', '.join(sorted(rules.projects))}."
        )
    return name


def _priority(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= TOP_PRIORITY):
        raise invalid(
            f"Tag {names.PRIORITY_TAG!r} is {text!r}; a priority is a whole number from 0 to "
            f"{TOP_PRIORITY}, and {TOP_PRIORITY} goes first."
        )
    return int(text)


def _preemptible(text: str, request: Mapping[str, Any]) -> bool:
    if text.lower() not in _YES_OR_NO:
        raise invalid(f"Tag {names.PREEMPTIBLE_TAG!r} is {text!r}; it is true or false.")
    if _YES_OR_NO[text.lower()] and not request.get("CheckpointConfig"):
        raise invalid(
            f"Tag {names.PREEMPTIBLE_TAG!r} is {text!r}, and there is no CheckpointConfig: a job "
            "whose nodes may be given to others must keep checkpoints, from which it goes on."
        )
    return _YES_OR_NO[text.lower()]


def _instance_types(
    text: str, resources: Mapping[str, Any], known: Collection[str]
) -> tuple[str, ...]:
    """Return what the job may run on, best first: what the request names, then the others."""
    named = tuple(dict.fromkeys(text.split()))
    if not named:
        raise invalid(f"Tag {names.INSTANCE_TYPES_TAG!r} names no instance type.")
    for name in named:
        if any(fnmatchcase(name, pattern) for pattern in known):
            continue
        if not name.startswith("ml.") or instances.known(name) is None:
            alike = difflib.get_close_matches(name, instances.types(), n=3)
            hint = f"; did you mean {' or '.join(alike)}?" if alike else "."
            raise invalid(
                f"Tag {names.INSTANCE_TYPES_TAG!r} names {name!r}, which is no instance type{hint}"
            )
    for member in ("InstanceGroups", "InstancePreferences"):
        if resources.get(member):
            raise invalid(
                f"Tag {names.INSTANCE_TYPES_TAG!r} is not for jobs with {member}; they name the "
                "types themselves."
            )
    return tuple(dict.fromkeys([resources["InstanceType"], *named]))
