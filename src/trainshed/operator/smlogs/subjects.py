"""Which kinds of manifest have a log, how each may be spelled, and where its lines are kept."""

import re
from dataclasses import dataclass
from typing import Final

from trainshed.client.errors import ClientError
from trainshed.domain.names import TRAINING_LOG_GROUP
from trainshed.operator.kinds.base import GROUP, VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A kind of manifest whose resource runs on nodes that write lines."""

    kind: str
    plural: str
    short: tuple[str, ...]
    log_group: str
    resource: str
    """What the service calls it: ``TrainingJob``."""
    spec_name: str
    """The member of the spec that names the resource; "" for none."""
    status_name: str
    """The member of the status that does."""
    status: str
    """The member of the status with the resource's status."""
    has_secondary: bool = False

    @property
    def name_member(self) -> str:
        """What the resource's name is called in requests: ``TrainingJobName``."""
        return f"{self.resource}Name"


TRAINING: Final = Subject(
    kind="TrainingJob",
    plural="trainingjobs",
    short=("tj",),
    log_group=TRAINING_LOG_GROUP,
    resource="TrainingJob",
    spec_name="trainingJobName",
    status_name="sageMakerTrainingJobName",
    status="trainingJobStatus",
    has_secondary=True,
)
TRANSFORM: Final = Subject(
    kind="BatchTransformJob",
    plural="batchtransformjobs",
    short=("btj", "transformjob", "transformjobs"),
    log_group="/aws/sagemaker/TransformJobs",
    resource="TransformJob",
    spec_name="transformJobName",
    status_name="sageMakerTransformJobName",
    status="transformJobStatus",
)
PROCESSING: Final = Subject(
    kind="ProcessingJob",
    plural="processingjobs",
    short=("pj",),
    log_group="/aws/sagemaker/ProcessingJobs",
    resource="ProcessingJob",
    spec_name="",
    status_name="sageMakerProcessingJobName",
    status="processingJobStatus",
)
SUBJECTS: Final = (TRAINING, TRANSFORM, PROCESSING)
_TUNING: Final = frozenset({"hyperparametertuningjob", "hyperparametertuningjobs", "hpo"})


class Mistyped(ClientError):
    """What was typed makes no sense."""


def called(text: str) -> Subject:
    """Return the kind that was meant, in whatever spelling: any case, plural, with its group.

    Raises:
        Mistyped: it is none; for a tuning job, the message tells where its lines are.
    """
    plain = re.sub(rf"(\.{VERSION})?\.{re.escape(GROUP)}$", "", text.strip().lower())
    for subject in SUBJECTS:
        if plain in {subject.kind.lower(), subject.plural, *subject.short}:
            return subject
    if plain in _TUNING:
        raise Mistyped(
            "a HyperparameterTuningJob writes no lines of its own: its training jobs do",
            "kubectl get trainingjobs, then kubectl smlogs trainingjob NAME",
        )
    kinds = ", ".join(subject.kind for subject in SUBJECTS)
    raise Mistyped(f"{text!r} is no kind that has a log", f"one of {kinds}")
