"""What a simulated node does when nobody disturbs it: how long each step takes, what befalls it.

A backend has such a script for all its jobs; a job changes it by hyperparameters ``sim.<member>``.
"""

import random
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from trainshed.domain.errors import DriverError

PREFIX: Final = "sim."
_HOUR: Final = 3600.0

_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The steps of a node; every time is in seconds."""

    pull: _Seconds = 0.0
    """Fetching the image; 0: there is none to fetch."""
    download: _Seconds = 0.0
    duration: _Seconds = 10.0
    """Work that the container has to do, over all attempts."""
    upload: _Seconds = 0.0
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    """What the container ends with when its work is done."""
    checkpoint_every: _Seconds = 0.0
    """Between two checkpoints, of a job with a CheckpointConfig; 0: it makes none. The next attempt
    goes on with the work where the last one was made."""
    stop: _Seconds = 0.0
    """From SIGTERM to the container's end; beyond the grace it is killed."""
    lost_after: _Seconds | None = None
    """From the agent's start until agent and container are killed; None: they are not."""
    agent_lost_after: _Seconds | None = None
    """The same for the agent alone: it is started over its journal, and the container goes on."""
    notice_after: _Seconds | None = None
    """From the agent's start until the place says that it takes the node away."""
    notice: _Seconds = 120.0
    """From then until it does."""
    taken_after: _Seconds | None = None
    """From the agent's start until the place takes the node away without a word."""
    attempts: Annotated[int, msgspec.Meta(ge=0)] = 1
    """In how many attempts of a job such things happen to it; later ones are left in peace."""
    host: str = "algo-1"
    """To which of a job's nodes they happen."""

    def of(self, hyperparameters: Mapping[str, str]) -> "Script":
        """Return this script as a job changes it.

        Raises:
            DriverError: a ``sim.`` hyperparameter is none of ours, or its value means nothing.
        """
        wishes = {
            name.removeprefix(PREFIX): value
            for name, value in hyperparameters.items()
            if name.startswith(PREFIX)
        }
        if not wishes:
            return self
        try:
            return msgspec.convert({**msgspec.structs.asdict(self), **wishes}, Script, strict=False)
        except msgspec.ValidationError as error:
            known = ", ".join(f"{PREFIX}{name}" for name in Script.__struct_fields__)
            raise DriverError(
                f"the hyperparameters say what no simulated node does: {error}; known: {known}"
            ) from error

    def in_attempt(self, number: int, host: str) -> "Script":
        """Return this script as it is for one node of an attempt."""
        if number <= self.attempts and host == self.host:
            return self
        return msgspec.structs.replace(
            self, lost_after=None, agent_lost_after=None, notice_after=None, taken_after=None
        )

    def befallen(self, chance: random.Random, *, notices: float, losses: float) -> "Script":
        """Return this script with what chance has in store.

        Args:
            chance: decides.
            notices: how often in an hour the place takes such a node back.
            losses: how often in an hour one is lost.
        """
        lost = chance.expovariate(losses / _HOUR) if losses else None
        notice = chance.expovariate(notices / _HOUR) if notices else None
        return msgspec.structs.replace(
            self,
            lost_after=_sooner(self.lost_after, lost),
            notice_after=_sooner(self.notice_after, notice),
        )


def _sooner(one: float | None, other: float | None) -> float | None:
    known = [each for each in (one, other) if each is not None]
    return min(known, default=None)
