"""What an engine answers when something is wrong with it is not taken for the container's fault."""

import json
import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.conftest import until
from tests.agent.docker.scripted import BROKEN, Answer, ScriptedEngine

from trainshed.agent.node import NodeOver
from trainshed.agent.runtimes.docker import ownership, preparing, programs, registry
from trainshed.agent.runtimes.docker.container import DockerContainer
from trainshed.agent.runtimes.docker.engine import Engine, EngineAway
from trainshed.agent.runtimes.docker.following import Following
from trainshed.agent.runtimes.docker.machine import described
from trainshed.agent.runtimes.docker.spec import Image

MakeEngine = Callable[[Callable[[str], Answer]], ScriptedEngine]


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[MakeEngine]:
    made: list[ScriptedEngine] = []

    def make(answer: Callable[[str], Answer]) -> ScriptedEngine:
        made.append(ScriptedEngine(tmp_path / "engine.sock", lambda asked, _: answer(asked)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _engine(tmp_path: Path) -> Engine:
    return Engine(str(tmp_path / "engine.sock"))


def _read_to_its_end(following: Following) -> None:
    while following.written.take() is not None:
        select.select([following.written.fd], [], [], 60)


def test_the_times_that_an_engine_is_away_are_not_added_up(
    scripted: MakeEngine, tmp_path: Path
) -> None:
    # Away, there again, away, there again, away, there again, and then the end.
    waits: list[Answer] = [None, (200, b""), None, (200, b""), None, (200, b"")]

    def answer(asked: str) -> Answer:
        if not asked.startswith("POST /containers/c/wait"):
            return (200, b"")
        return waits.pop(0) if waits else (200, b'{"StatusCode": 0}\n')

    scripted(answer)
    told: list[str] = []
    following = Following(_engine(tmp_path), "c", patience_s=0.6, complain=told.append)
    _read_to_its_end(following)
    assert following.trouble == ""
    assert len(told) == 3
    following.close()


def test_a_signal_that_the_engine_failed_to_send_is_sent_again(
    scripted: MakeEngine, tmp_path: Path
) -> None:
    kills: list[Answer] = [(500, b'{"message": "did not receive an exit event"}'), (204, b"")]
    ended: list[int] = []

    def answer(asked: str) -> Answer:
        if asked.startswith("POST /containers/c/kill"):
            ended.extend([137] if len(kills) == 1 else [])
            return kills.pop(0)
        if asked.startswith("POST /containers/c/wait"):
            return (200, b'{"StatusCode": 137}' if ended else b"")
        return (200, b"")

    engine = scripted(answer)
    container = DockerContainer(
        _engine(tmp_path), "c", stop_signal="SIGTERM", complain=lambda _: None, settle=lambda: None
    )
    container.kill()
    until(lambda: ended)
    while container.read(container.outputs[0]) is not None:
        select.select([container.outputs[0]], [], [], 60)
    assert len([each for each in engine.asked if "signal=SIGKILL" in each]) == 2


def test_an_answer_that_breaks_off_inside_an_object_is_the_engines_end(
    scripted: MakeEngine, tmp_path: Path
) -> None:
    scripted(lambda _: (200, b'{"status": "Downloading"}\n{"stat'))
    with (
        _engine(tmp_path).stream("POST", "/images/create") as answer,
        pytest.raises(EngineAway),
    ):
        assert list(answer.objects()) == []
    with pytest.raises(EngineAway):
        _engine(tmp_path).get("/info")


def test_an_answer_that_ends_too_early_is_the_engines_end(
    scripted: MakeEngine, tmp_path: Path
) -> None:
    scripted(lambda _: (BROKEN, b'{"Id": "c"'))
    with pytest.raises(EngineAway, match="does not answer"):
        _engine(tmp_path).get("/containers/c/json")


INFO = {"NCPU": 2, "MemTotal": 1 << 30, "ServerVersion": "20.10"}


@pytest.mark.parametrize(
    ("security", "owner"),
    [
        (["name=seccomp,profile=default", "name=rootless"], "0:0"),
        (["name=seccomp,profile=default", "name=userns"], f"{os.geteuid()}:{os.getegid()}"),
        (None, f"{os.geteuid()}:{os.getegid()}"),
    ],
)
def test_an_engine_of_the_agents_own_user_calls_that_user_root(
    security: list[str] | None, owner: str
) -> None:
    assert ownership.owner(described({**INFO, "SecurityOptions": security}, 0)) == owner


def test_an_engine_without_root_has_no_address_for_containers(
    scripted: MakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = json.dumps({**INFO, "SecurityOptions": ["name=rootless"]}).encode()
    scripted(lambda _: (200, info))
    assert preparing.main(f"unix://{tmp_path}/engine.sock") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["address"] == ""
    assert "runs without root" in said.err


def test_a_login_that_cannot_be_read_fails_the_job_and_shows_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"auths": {"r.test": {"auth": "secret!"}}}
    (tmp_path / "config.json").write_text(json.dumps(kept))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(NodeOver, match=r"config\.json cannot be read") as over:
        registry.authorization("r.test/a:1")
    assert "secret" not in over.value.reason


def test_what_was_known_of_an_image_is_looked_up_again_where_the_file_is_damaged(
    scripted: MakeEngine, tmp_path: Path
) -> None:
    def answer(asked: str) -> Answer:
        if asked.startswith("HEAD"):
            return (404, b"")
        return (200, b'{"Id": "c"}') if asked.startswith("POST") else (204, b"")

    scripted(answer)
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "abc.json").write_text("")
    image = Image(id="sha256:abc", digest="", environment={}, entrypoint=(), stop_signal="SIGTERM")
    found = programs.look(_engine(tmp_path), image, ["/bin"], tmp_path, {})
    assert found == programs.Programs(train="", python="", code=False)
    assert json.loads((tmp_path / "programs" / "abc.json").read_text())["/bin"]["train"] == ""
