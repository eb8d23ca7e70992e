"""A container that something else took along is told from one that ended by itself."""

import json
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.docker.scripted import Answer, ScriptedEngine

from trainshed.agent.runtimes.base import Exit
from trainshed.agent.runtimes.docker.container import DockerContainer
from trainshed.agent.runtimes.docker.endings import moment, taken_along
from trainshed.agent.runtimes.docker.engine import Engine

STARTED = "2026-01-01T10:00:00.123456789Z"
ENDED = "2026-01-01T10:30:00.5Z"
WHILE = "2026-01-01T10:30:04Z"
BEFORE, AFTER = "2026-01-01T09:00:00Z", "2026-01-01T10:30:20Z"
ANEW = "the container engine was started anew, and had ended the container"
REMOVED = "the container was removed while it ran"
MakeEngine = Callable[..., Engine]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MakeEngine]:
    """Return what starts an engine that began at some time, and has one container to tell of."""
    made: list[ScriptedEngine] = []

    def make(began: str, *, keeps: bool = False, state: dict[str, Any] | None = None) -> Engine:
        def answer(asked: str) -> Answer:
            if asked == "GET /info":
                return (200, json.dumps({"LiveRestoreEnabled": keeps}).encode())
            if asked == "GET /networks/bridge":
                return (200, json.dumps({"Created": began}).encode()) if began else (404, b"{}")
            if asked.startswith("POST /containers/c/wait"):
                return (200, b'{"StatusCode": 0}')
            if asked == "GET /containers/c/json":
                return (200, json.dumps({"State": state}).encode()) if state else (404, b"{}")
            return (200, b"")

        made.append(ScriptedEngine(tmp_path / "engine.sock", lambda asked, _: answer(asked)))
        return Engine(str(tmp_path / "engine.sock"))

    yield make
    for each in made:
        each.close()


def _state(code: int, **changes: object) -> dict[str, Any]:
    return {"ExitCode": code, "StartedAt": STARTED, "FinishedAt": ENDED, **changes}


@pytest.mark.parametrize(
    ("began", "code", "away", "lost"),
    [
        (AFTER, 137, None, ANEW),  # nobody watched, and the engine is another since
        (AFTER, 143, None, ANEW),
        (AFTER, 255, None, ANEW),
        (AFTER, 1, None, ""),  # it may have ended long before the engine
        (AFTER, 0, None, ""),
        (AFTER, 0, WHILE, ANEW),  # it was told to end, and did so nicely
        (AFTER, 1, WHILE, ANEW),
        (BEFORE, 137, None, ""),  # somebody killed it
        (BEFORE, 137, WHILE, ""),  # the engine hung, and is the same still
        (BEFORE, 0, WHILE, ""),
        (AFTER, 0, AFTER, ""),  # it had ended when the engine went away
        ("", 137, None, ""),  # an engine without that network, as Podman
        ("", 137, WHILE, ANEW),
        ("", 0, WHILE, ""),
    ],
)
def test_the_engines_own_start_tells(
    engine: MakeEngine, began: str, code: int, away: str | None, lost: str
) -> None:
    since = moment(away) if away else None
    assert taken_along(engine(began), _state(code), since) == lost


@pytest.mark.parametrize("code", [0, 137])
def test_an_engine_that_keeps_its_containers_takes_none_along(
    engine: MakeEngine, code: int
) -> None:
    assert taken_along(engine(AFTER, keeps=True), _state(code), moment(WHILE)) == ""


@pytest.mark.parametrize(
    ("away", "lost"),
    [
        (None, ""),  # the script's own
        (AFTER, ""),
        (WHILE, "the container engine was started anew, and does not know how the container ended"),
    ],
)
def test_an_engine_that_lost_sight_of_a_container_it_kept_says_255(
    engine: MakeEngine, away: str | None, lost: str
) -> None:
    since = moment(away) if away else None
    assert taken_along(engine(BEFORE, keeps=True), _state(255), since) == lost


@pytest.mark.parametrize(
    ("code", "changes", "lost"),
    [
        (137, {"Status": "removing"}, REMOVED),
        (137, {"Status": "dead", "Dead": True}, REMOVED),
        (0, {"Status": "removing"}, ""),
    ],
)
def test_a_container_that_is_being_removed_was(
    engine: MakeEngine, code: int, changes: dict[str, object], lost: str
) -> None:
    assert taken_along(engine(BEFORE), _state(code, **changes), None) == lost


def _ended(engine: Engine, *, stopping: bool, asked: bool = False) -> Exit:
    container = DockerContainer(
        engine,
        "c",
        stop_signal="SIGTERM",
        complain=lambda _: None,
        settle=lambda: None,
        stopping=stopping,
    )
    if asked:
        container.terminate()
    while container.read(container.outputs[0]) is not None:
        select.select([container.outputs[0]], [], [], 60)
    return container.collect()


@pytest.mark.parametrize("stopping", [True, False])
def test_what_was_to_be_stopped_is_not_lost_when_the_engine_did_it(
    engine: MakeEngine, *, stopping: bool
) -> None:
    ended = _ended(engine(AFTER, state=_state(137)), stopping=stopping, asked=not stopping)
    assert ended == Exit(exit_code=137)


def test_what_was_to_be_stopped_is_not_lost_when_somebody_removed_it(engine: MakeEngine) -> None:
    assert _ended(engine(BEFORE), stopping=True) == Exit(exit_code=137)


def test_what_nobody_stopped_is_lost_when_the_engine_did(engine: MakeEngine) -> None:
    assert _ended(engine(AFTER, state=_state(137)), stopping=False).lost == ANEW
