"""From a job's row to what the scheduler knows of it, which is small: not the whole request."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from trainshed.domain.training import Attempt, SecondaryStatus, TrainingJob, WarmPoolStatus
from trainshed.engine.scheduling.board import Board
from trainshed.engine.scheduling.values import Group, Need, Pool, Running, Types, Waiting

_S = SecondaryStatus
_LONGEST: Final = 86400.0
"""Seconds; MaxRuntimeInSeconds where a request has none (API reference, StoppingCondition)."""
_KEPT_BY: Final = (
    "RoleArn",
    "VpcConfig",
    "EnableInterContainerTrafficEncryption",
    "EnableNetworkIsolation",
    "SessionChainingConfig",
)
_KEPT_BY_RESOURCES: Final = ("VolumeKmsKeyId", "VolumeSizeInGB")
"""What two jobs must have in common for one to get the other's warm nodes, besides the type and
number of instances (developer guide, "managed warm pools")."""


def note(board: Board, job: TrainingJob, default: str) -> bool:
    """Bring a board up to date with a job's row; tell whether that changes anything.

    Args:
        board: is changed.
        job: as it now is.
        default: the backend of jobs that name none.
    """
    pool = job.pool
    kept = pool is not None and pool.status is WarmPoolStatus.AVAILABLE
    attempt = job.attempt
    if job.over and (attempt is None or (job.cleaned and not kept)):
        return board.forget(job.arn)
    if attempt is None:
        if job.stop_wish is not None:
            return board.forget(job.arn)
        return board.wait(_waiting(board, job, default))
    need = _need(board, job, attempt.backend, attempt.instance_type)
    if pool is not None and kept and job.cleaned:
        return board.keep(
            Pool(
                arn=job.arn,
                backend=attempt.backend,
                project=job.project,
                need=need,
                key=pool_key(job, attempt.backend, need.types),
                ends=pool.until.timestamp(),
                began=pool.chain_began,
                chain=attempt.pool_chain,
            )
        )
    ends = pool.until.timestamp() if pool is not None and kept else _ends(job, attempt)
    stopping = job.stop_wish is not None or job.secondary is _S.STOPPING or job.over
    return board.run(
        Running(
            arn=job.arn,
            backend=attempt.backend,
            project=job.project,
            need=need,
            started=attempt.started.timestamp(),
            ends=ends,
            priority=job.priority,
            preemptible=job.preemptible or job.spot,
            launching=job.secondary is _S.STARTING,
            leaving=not kept
            and (stopping or attempt.over is not None or bool(attempt.interrupted)),
            preempted_for=attempt.preempted_for,
            pool=attempt.pool,
        )
    )


def version(job: TrainingJob) -> tuple[int, int]:
    """Return how far a job's row has come: of two rows of a job, the later has no smaller one."""
    stage = 1 if job.attempt is None else 0
    if job.over:
        # Nodes that were kept warm are cleaned once more when they are let go.
        let_go = job.pool is not None and job.pool.status is not WarmPoolStatus.AVAILABLE
        stage = 2 + job.cleaned + 2 * let_go + job.settled
    last = job.past[-1].number if job.past else 0
    present = job.attempt.number if job.attempt is not None else 0
    return max(job.attempts, last, present), stage


def pool_key(job: TrainingJob, backend: str, types: Types) -> str:
    """Return what a job and the warm nodes that it may take over have in common."""
    request, resources = job.request, job.request.get("ResourceConfig") or {}
    parts = [job.region, job.account, job.project, backend, str(job.spot)]
    parts += [f"{name}*{nodes}" for name, nodes in types]
    parts += [_said(request.get(member)) for member in _KEPT_BY]
    parts += [_said(resources.get(member)) for member in _KEPT_BY_RESOURCES]
    return "\n".join(parts)


def _said(value: Any) -> str:  # noqa: ANN401 - whatever a request has there
    """Return what a member says as text; what is empty, or false, says nothing."""
    if isinstance(value, dict):
        value = {key: each for key, each in value.items() if each}
    if not value or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True)


def types_of(job: TrainingJob, instance_type: str = "") -> Types:
    """Return which instances a job asks for: by its request, or all of one other type."""
    if instance_type:
        return ((instance_type, job.instance_count),)
    resources = job.request.get("ResourceConfig") or {}
    groups = resources.get("InstanceGroups") or ()
    if groups:
        return tuple((str(each["InstanceType"]), int(each["InstanceCount"])) for each in groups)
    return ((str(resources.get("InstanceType") or "local"), job.instance_count),)


def _waiting(board: Board, job: TrainingJob, default: str) -> Waiting:
    backend = job.backend or default
    # A type that the request itself names is called by no name of its own, as the request is kept.
    named = [""] if not job.instance_types else list(job.instance_types)
    needs = tuple(_need(board, job, backend, name) for name in named)
    group = Group(
        backend=backend,
        project=job.project,
        priority=job.priority,
        needs=needs,
        runtime=_runtime_left(job, job.modified),
        pool_keys=tuple(pool_key(job, backend, need.types) for need in needs),
    )
    last = job.past[-1].ended if job.past else job.created
    return Waiting(
        arn=job.arn,
        group=board.group(group),
        created=job.created.timestamp(),
        since=last.timestamp(),
    )


def _need(board: Board, job: TrainingJob, backend: str, instance_type: str) -> Need:
    types = types_of(job, instance_type)
    return board.need(backend, types, spot=job.spot, instance_type=instance_type)


def _ends(job: TrainingJob, attempt: Attempt) -> float:
    """Return when an attempt must be over: from its start on, until it trains."""
    last = job.transitions[-1] if job.transitions else None
    trains = last is not None and last.status is _S.TRAINING and last.start >= attempt.started
    begins = last.start if trains and last is not None else attempt.started
    return begins.timestamp() + _runtime_left(job, attempt.started)


def _runtime_left(job: TrainingJob, before: datetime) -> float:
    """Return for how many seconds the job may still train: the limit counts over all attempts."""
    limit = (job.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds")
    spent = sum(
        (
            (each.end or before) - each.start
            for each in job.transitions
            if each.status is _S.TRAINING and each.start < before
        ),
        timedelta(),
    )
    return max(float(limit or _LONGEST) - spent.total_seconds(), 1.0)
