"""CreateTrainingJob: a wish that makes sense becomes a row; the engine makes it true."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

from trainshed.api.operations import Table
from trainshed.api.sagemaker.checks import check_request, check_tags
from trainshed.api.sagemaker.data import Data
from trainshed.api.sagemaker.lookup import training_job_arn
from trainshed.api.sagemaker.rejections import invalid
from trainshed.api.sagemaker.repeats import is_repeated
from trainshed.api.sagemaker.standing import ANYTHING, Rules, standing
from trainshed.domain import names, sizes
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import MESSAGES, SecondaryStatus, TrainingJob
from trainshed.wire.message import Call


class NewJobs(Protocol):
    """The slice of ``TrainingRecords`` that takes new jobs."""

    async def add(self, job: TrainingJob, tags: Mapping[str, str], owner: str = "") -> bool:
        """Keep a new job and its tags; return False, changing nothing, if its ARN is taken."""
        ...

    async def get(self, arn: str) -> TrainingJob | None:
        """Return the job, or None."""
        ...


class CreateTraining:
    """Takes training jobs on."""

    def __init__(
        self,
        *,
        records: NewJobs,
        data: Data,
        account: str,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        backends: Collection[str],
        rules: Rules = ANYTHING,
        owner: Callable[[], str] = lambda: "",
    ) -> None:
        """Keep jobs in ``records``.

        Args:
            records: where jobs are kept.
            data: looks at what a request names.
            account: the account id in ARNs.
            clock: tells the time.
            new_id: returns a new ``TrainingJob.id`` at each call.
            backends: the names that the tag ``trainshed:backend`` may have.
            rules: what else the settings say of who may ask for what.
            owner: the server that is to step the job.
        """
        self._records = records
        self._data = data
        self._account = account
        self._clock = clock
        self._new_id = new_id
        self._backends = backends
        self._rules = rules
        self._owner = owner

    def operations(self) -> Table:
        """Return the operations this subject offers."""
        return {("sagemaker", "CreateTrainingJob"): self.create_training_job}

    async def create_training_job(self, call: Call) -> dict[str, Any]:
        """Keep the job, Starting, and return its ARN.

        Raises:
            RequestRejected: what is asked makes no sense, is not offered, or the name is taken.
        """
        request = {key: value for key, value in call.params.items() if key != "Tags"}
        tags = check_tags(call.params.get("Tags") or ())
        backend = self._backend(tags)
        shm = _shm(tags)
        check_request(request)
        among_others = standing(tags, request, self._rules, call.access_key or "")
        await self._data.check(request, call.region)
        now = self._clock()
        job = TrainingJob(
            arn=training_job_arn(call, self._account),
            name=request["TrainingJobName"],
            region=call.region,
            account=self._account,
            id=self._new_id(),
            request=request,
            created=now,
            modified=now,
            backend=backend,
            shm=shm,
            invocations=(call.invocation,) if call.invocation else (),
            **among_others,
        )
        greeting = f"{MESSAGES[SecondaryStatus.STARTING]}{job.warning}"
        job = job.moved_to(SecondaryStatus.STARTING, at=now, message=greeting)
        if not await self._records.add(job, tags, owner=self._owner()):
            there = await self._records.get(job.arn)
            if there is not None and is_repeated(call, there):
                return {"TrainingJobArn": job.arn}
            raise RequestRejected(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, "
                f"and a training job with this name already exists ({job.arn})",
            )
        return {"TrainingJobArn": job.arn}

    def _backend(self, tags: Mapping[str, str]) -> str:
        """Return the backend that the tags name; "" when they name none."""
        name = tags.get(names.BACKEND_TAG, "")
        if name and name not in self._backends:
            raise invalid(
                f"Tag {names.BACKEND_TAG!r} names the backend {name!r}, which this server does not "
                f"have; it has: {', '.join(sorted(self._backends))}."
            )
        return name


def _shm(tags: Mapping[str, str]) -> int:
    """Return the bytes of /dev/shm that the tags ask for; 0 when they do not."""
    text = tags.get(names.SHM_TAG)
    try:
        return 0 if text is None else sizes.parse(text)
    except ValueError as error:
        raise invalid(f"Tag {names.SHM_TAG!r}: {error}.") from error
