"""Objects of ``sagemaker.aws.amazon.com`` as the API server tells of them.

Pure values: an object is what was last seen of it, and nothing here asks for more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Names one object of the cluster."""

    plural: str
    """The kind's, such as ``trainingjobs``."""
    namespace: str
    name: str

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.plural}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Place:
    """One service: an address, and the region that requests are signed for."""

    endpoint: str
    """"" for the operator's own, and where that has none, Amazon's of the region."""
    region: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.region} at {self.endpoint}" if self.endpoint else self.region


@dataclass(frozen=True)
class Object:
    """One object, as it stood when it was seen."""

    plural: str
    raw: Mapping[str, Any]
    """As JSON has it. Nobody changes it."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """``metadata``."""
        found: Mapping[str, Any] = self.raw["metadata"]
        return found

    @property
    def spec(self) -> Mapping[str, Any]:
        """What is wished; empty where there is none."""
        return self.raw.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Any]:
        """What was told of it; empty where nothing was."""
        return self.raw.get("status") or {}

    @cached_property
    def key(self) -> Key:
        """What names it, as long as it is there."""
        return Key(self.plural, self.meta["namespace"], self.meta["name"])

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return str(self.meta["name"])

    @property
    def uid(self) -> str:
        """What names it for ever."""
        return str(self.meta["uid"])

    @property
    def version(self) -> str:
        """``metadata.resourceVersion``: another one after each write."""
        return str(self.meta["resourceVersion"])

    @property
    def generation(self) -> int:
        """How often its spec was written."""
        return int(self.meta.get("generation", 0))

    @property
    def finalizers(self) -> tuple[str, ...]:
        """Who has a word to say before it goes."""
        return tuple(self.meta.get("finalizers") or ())

    @property
    def annotations(self) -> Mapping[str, str]:
        """What others have written on it."""
        return self.meta.get("annotations") or {}

    @property
    def deleted(self) -> datetime | None:
        """When it was asked to be deleted; None while nobody has."""
        stamp = self.meta.get("deletionTimestamp")
        return None if stamp is None else parsed(stamp)

    def condition(self, kind: str) -> Mapping[str, Any] | None:
        """Return one of its conditions, None when it has none of that type."""
        for each in self.status.get("conditions") or ():
            if each.get("type") == kind:
                found: Mapping[str, Any] = each
                return found
        return None

    def holds(self, kind: str) -> bool:
        """Tell whether a condition is true."""
        found = self.condition(kind)
        return found is not None and found.get("status") == "True"

    def is_newer_than(self, other: "Object") -> bool:
        """Tell whether it was seen later than another view of the same name.

        Versions of one object are numbers that grow (Kubernetes says so from 1.35 on, and etcd's
        always were); where they are none, what came last is the newer one.
        """
        if self.uid != other.uid or not (self.version.isdigit() and other.version.isdigit()):
            return self.version != other.version
        return int(self.version) > int(other.version)


def written(moment: datetime) -> str:
    """Return a time as Kubernetes writes it, in whole seconds."""
    return moment.strftime(_FORMAT)


def parsed(stamp: str) -> datetime:
    """Return the time that Kubernetes wrote."""
    return datetime.fromisoformat(stamp)
