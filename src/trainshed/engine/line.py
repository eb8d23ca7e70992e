"""Who waits for which backend, and which nodes are taken: copies of what the store says.

Nothing is remembered only here: at a server's start all of it is read from the store again.
"""

import asyncio
from collections.abc import Iterable, Mapping

from trainshed.domain.training import TrainingJob
from trainshed.drivers.base import Capabilities
from trainshed.engine.scheduling import Admission, Request, Turn, admit


class Line:
    """The jobs without an attempt, in a line for each backend."""

    def __init__(self, capabilities: Mapping[str, Capabilities], default: str) -> None:
        """``capabilities`` by backend name; jobs that name no backend go to ``default``."""
        self._capabilities = capabilities
        self._default = default
        self.waiting: dict[str, TrainingJob] = {}
        """By ARN; oldest first once the line was put in order."""
        self.untold: set[str] = set()
        """Those who have not been told what they wait for."""
        self.turn = asyncio.Event()
        """Set when the heads of the lines should be looked at."""
        self._jostled = False
        """Whether somebody joined the line behind a younger one."""
        self._in_use: dict[str, tuple[str, int]] = {}
        """(backend, nodes) by ARN, of all jobs that have an attempt and are not cleaned."""

    def __contains__(self, arn: str) -> bool:
        """Tell whether a job is known here, as waiting or as holding nodes."""
        return arn in self.waiting or arn in self._in_use

    def backend_of(self, job: TrainingJob) -> str:
        """Return the name of the backend that a job is for."""
        return job.backend or self._default

    def note(self, job: TrainingJob) -> None:
        """Keep the lines and the nodes in use as the job now has them."""
        if job.attempt is None and not job.over:
            if job.arn not in self.waiting:
                self.untold.add(job.arn)
                last = next(reversed(self.waiting.values()), job)
                self._jostled |= job.created < last.created
            self.waiting[job.arn] = job
            self.turn.set()
            return
        self.waiting.pop(job.arn, None)
        self.untold.discard(job.arn)
        if job.attempt is not None and not job.cleaned:
            self._in_use[job.arn] = (job.attempt.backend, job.instance_count)
        else:
            self.forget(job.arn)

    def forget(self, arn: str) -> None:
        """Let go of a job; the nodes that it held are free."""
        self.waiting.pop(arn, None)
        self.untold.discard(arn)
        if self._in_use.pop(arn, None) is not None:
            self.turn.set()

    def answers(self) -> dict[str, Admission]:
        """Return what the heads of all lines are to be told, by ARN: they start, or never will."""
        turns = self._turns().values()
        return {arn: answer for turn in turns for arn, answer in turn.answers.items()}

    def reasons(self) -> dict[str, Admission]:
        """Return what those who must wait, and have not been told so, wait for, by ARN."""
        turns = self._turns()
        found = {}
        for arn in self.untold:
            turn = turns[self.backend_of(self.waiting[arn])]
            if arn not in turn.answers:
                found[arn] = Admission(admitted=False, reason=turn.reason)
        return found

    def _turns(self) -> dict[str, Turn]:
        """Return each line's turn, by backend."""
        if self._jostled:  # jobs that were created together are heard of in any order
            ordered = sorted(self.waiting.items(), key=lambda each: each[1].created)
            self.waiting = dict(ordered)
            self._jostled = False
        lines: dict[str, list[Request]] = {}
        for arn, job in self.waiting.items():
            lines.setdefault(self.backend_of(job), []).append(Request(arn, job.instance_count))
        return {backend: self._turn_of(backend, line) for backend, line in lines.items()}

    def _turn_of(self, backend: str, line: Iterable[Request]) -> Turn:
        capabilities = self._capabilities.get(backend)
        if capabilities is None:  # planning says so, in the job's own FailureReason
            return Turn(answers={request.arn: Admission(admitted=True) for request in line})
        in_use = sum(nodes for name, nodes in self._in_use.values() if name == backend)
        return admit(line, in_use, backend, capabilities)
