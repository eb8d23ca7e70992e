"""Warm pools: the nodes of a job that is over, kept for the next one that matches. Pure.

KeepAlivePeriodInSeconds asks for it. Kept are the nodes of jobs that ended well, were stopped, or
failed by their own fault; after a fault of the platform they may be the fault, and are let go. So
are those that their place, or another job, was taking.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from trainshed.domain.training import TrainingJob, WarmPool, WarmPoolStatus

_OWN_FAULTS: Final = ("AlgorithmError", "ClientError")


def kept(job: TrainingJob) -> TrainingJob:
    """Return a job that has just ended, with its nodes kept warm if it asked for that."""
    attempt, end = job.attempt, job.training_end
    if not job.keep_alive or attempt is None or end is None:
        return job
    if job.failure_reason and not job.failure_reason.startswith(_OWN_FAULTS):
        return job
    if attempt.over is not None or attempt.preempted_for or attempt.interrupted:
        return job
    began = attempt.pool_began or attempt.started
    pool = WarmPool(status=WarmPoolStatus.AVAILABLE, since=end, until=end, chain_began=began)
    pool = pool.lasting(job.keep_alive)
    return replace(job, pool=pool) if pool.until > end else job


def ends(job: TrainingJob) -> datetime | None:
    """Return when the nodes that a job keeps are let go; None when it keeps none."""
    pool = job.pool
    return pool.until if pool is not None and pool.status is WarmPoolStatus.AVAILABLE else None


def looked_at(job: TrainingJob, now: datetime) -> TrainingJob:
    """Return a job that is over, its nodes let go once their time has come.

    It is to be cleaned again then: what its nodes kept for the next goes only now.
    """
    until = ends(job)
    if job.pool is None or until is None or now < until:
        return job
    pool = replace(job.pool, status=WarmPoolStatus.TERMINATED, ended=until)
    return replace(job, pool=pool, cleaned=False, modified=max(now, job.modified))


def reused(job: TrainingJob, by: str, now: datetime) -> TrainingJob:
    """Return a job whose warm nodes the job ``by`` takes over."""
    if job.pool is None:
        return job
    pool = replace(job.pool, status=WarmPoolStatus.REUSED, ended=now, reused_by=by)
    return replace(job, pool=pool, modified=max(now, job.modified))
