"""Tells whether a container ended by itself, or was taken away by something else that ended.

An engine that stops ends its containers (unless it is told to keep them), with the signals that
would stop them: the exit code may be any, 0 too. When the engine was started shows in its network
``bridge``, which it makes anew each time: that is known also when nobody watched meanwhile.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError

_KILLS: Final = (137, 143, 255)
"""How containers end that are killed, or that an engine finds dead when it starts."""
_UNKNOWN: Final = 255
"""What an engine tells that kept its containers, of one that ended meanwhile without a trace."""
_NEVER: Final = "0001"
_STOPPING_S: Final = 15.0
"""An engine that stops refuses callers first, so this is only how late that may be noticed."""
_STARTING_S: Final = 1.0
"""An engine that starts kills the containers that its last run left, then makes its networks."""


def is_kill(exit_code: int) -> bool:
    """Tell whether a code may be that of a container that was taken along."""
    return exit_code in _KILLS


def taken_along(engine: Engine, state: Mapping[str, Any], away_since: float | None) -> str:
    """Return what took a container along that is over; "" when it ended by itself.

    Args:
        engine: where it is.
        state: as the engine tells it.
        away_since: when the engine was last noticed to be away, in seconds since the epoch; None
            when it never was.

    Raises:
        EngineError: the engine does not say.
    """
    exit_code = int(state["ExitCode"]) & 0xFF
    if state.get("Dead") or state.get("Status") in {"removing", "dead"}:
        return "the container was removed while it ran" if is_kill(exit_code) else ""
    started, finished = moment(state["StartedAt"]), moment(state["FinishedAt"])
    if is_kill(exit_code) and started < _booted() <= finished:
        return "the machine was started anew while the container ran"
    noticed = away_since is not None and finished > away_since - _STOPPING_S
    began = _began(engine)
    if began == 0 and noticed and exit_code == _UNKNOWN:
        return "the container engine was started anew, and does not know how the container ended"
    if began is None:
        with_it = is_kill(exit_code) and away_since is not None
    else:
        with_it = started < began and finished <= began + _STARTING_S
        with_it = with_it and (is_kill(exit_code) or noticed)
    return "the container engine was started anew, and had ended the container" if with_it else ""


def moment(text: str) -> float:
    """Return seconds since the epoch for an engine's time, such as 2026-01-01T00:00:00.1234Z."""
    return 0.0 if text.startswith(_NEVER) else datetime.fromisoformat(text).timestamp()


def _began(engine: Engine) -> float | None:
    """Return when an engine was started; never (0) for one that keeps its containers then.

    None: it does not show, as it has no network of its own.
    """
    if engine.get("/info").get("LiveRestoreEnabled"):
        return 0.0
    try:
        return moment(str(engine.get("/networks/bridge")["Created"]))
    except EngineAway:
        raise
    except (EngineError, KeyError, ValueError):
        return None


def _booted() -> float:
    """Return when this machine was started, in seconds since the epoch."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
