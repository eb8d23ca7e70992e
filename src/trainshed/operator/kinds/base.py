"""What is told of a kind: its names, its schemas, its columns, and how it maps to the service."""

from dataclasses import dataclass
from typing import Final

from trainshed.operator.schema.structural import Schema

GROUP: Final = "sagemaker.aws.amazon.com"
VERSION: Final = "v1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORIES: Final = ("all", "sagemaker")
"""``kubectl get`` lists the objects of all kinds by either."""
FINALIZER: Final = "sagemaker-operator-finalizer"
"""On every object that the operator has taken in; the first operator's, so that its are ours."""
SPAWNED_FINALIZER: Final = "sagemaker-operator-hpo-trainingjob"
"""On training jobs that the first operator made for a tuning job."""
ADOPT_ANNOTATION: Final = "trainshed.dev/adopt"
"""``"true"`` on an object that may take over a resource of its name which it did not make.

An annotation, no member of the spec: it is a permit, given to an object that has stalled, and no
part of what is to run.
"""

FIRST_TOUCH: Final = "SynchronizingK8sJobWithSageMaker"
"""The status of an object that was taken in and of which nothing is known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of ``kubectl get``."""

    name: str
    path: str
    """JSONPath, ``.status.secondaryStatus``."""
    type: str = "string"
    format: str = ""
    wide: bool = False
    """Whether it is shown with ``-o wide`` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of the group; all are namespaced, with a status of their own."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    operation: str
    """The operation that makes the resource, whose input is what a spec maps to; "" for a kind
    that takes several."""
    name_member: str
    """The resource's name in that operation's input."""
    name_limit: int = 63
    """Characters of a generated name."""
    spec_name: str = ""
    """The member of the spec that may name the resource, and that a generated name is written back
    into; "" for a kind without."""
    status_name: str
    """The member of the status that holds the resource's name."""
    status_state: str
    """The member of the status that holds the resource's status."""
    spec: Schema
    """The spec as the first operator had it. Newer members come from the service's model."""
    spec_required: bool = False
    """Whether an object must have a spec at all."""
    status: Schema
    columns: tuple[Column, ...]

    @property
    def singular(self) -> str:
        """The kind as it is written on a command line."""
        return self.kind.lower()

    @property
    def crd_name(self) -> str:
        """What ``kubectl get crd`` calls it."""
        return f"{self.plural}.{GROUP}"
