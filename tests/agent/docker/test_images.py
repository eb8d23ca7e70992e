"""Images that are pulled: from a registry that asks who pulls, or that is not there."""

import base64
import json
import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.agent.conftest import until
from tests.agent.docker.conftest import BASE, DockerAgent, docker

from trainshed.agent.node import NodeOver
from trainshed.agent.runtimes.docker import registry
from trainshed.agent.runtimes.docker.images import Progress
from trainshed.domain.facts import Kind

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
ALICE = "alice:$2y$05$jX4Sg70.9hmn4ls6O8Oauu2.jiq3QAmwREs6NTSGMzWq0lPwRCh6C"
"""alice, whose password is secret: registries take bcrypt only."""
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that knows alice, and has an image of hers: ``127.0.0.1:<port>/team/img:1``."""
    folder, port = tmp_path_factory.mktemp("registry"), _free_port()
    (folder / "users").write_text(ALICE + "\n")
    config = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "here", "path": str(folder / "users")}},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log
        )
    until(lambda: _answers(port))
    name = f"127.0.0.1:{port}/team/img:1"
    own = docker("build", "-q", "-", given=f"FROM {BASE}\nLABEL own={uuid.uuid4()}\n")
    docker("tag", own, name)
    login = folder / "login"
    login.mkdir()
    _write_config(login, f"127.0.0.1:{port}", "alice:secret")
    docker("--config", str(login), "push", "-q", name)
    docker("rmi", name)
    docker("rmi", own, check=False)
    yield name
    docker("rmi", name, check=False)
    server.terminate()
    server.wait()


def _write_config(folder: Path, where: str, account: str) -> None:
    auth = base64.b64encode(account.encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {where: {"auth": auth}}}))


def test_an_image_is_pulled_as_who_is_logged_in_and_its_digest_is_known(
    agent: MakeAgent, stocked: str, tmp_path: Path
) -> None:
    docker("rmi", stocked, check=False)
    _write_config(tmp_path, stocked.partition("/")[0], "alice:secret")
    node = agent("echo ran", image=stocked).start(DOCKER_CONFIG=str(tmp_path))
    node.wait()
    assert node.ended() == ("completed", "")
    assert node.kinds()[:3] == ["started", "pulling", "image"]
    image = node.fact(Kind.IMAGE)
    assert image is not None
    assert image.detail["digest"].startswith(stocked.removesuffix(":1") + "@sha256:")
    assert any(line.startswith(f"[trainshed] pulled {stocked}: ") for line in node.lines())


def test_an_image_that_is_there_is_pulled_again_only_if_it_is_always_to_be(
    agent: MakeAgent, stocked: str, tmp_path: Path
) -> None:
    _write_config(tmp_path, stocked.partition("/")[0], "alice:secret")
    for pull, pulled in (("always", True), ("missing", False)):
        node = agent("echo ran", image=stocked, pull=pull).start(DOCKER_CONFIG=str(tmp_path))
        node.wait()
        assert node.ended() == ("completed", "")
        assert (node.fact(Kind.PULLING) is not None) is pulled


@pytest.mark.parametrize("account", ["", "alice:wrong"])
def test_without_access_the_job_fails_and_says_what_to_do(
    agent: MakeAgent, stocked: str, tmp_path: Path, account: str
) -> None:
    if account:
        _write_config(tmp_path, stocked.partition("/")[0], account)
    node = agent("echo ran", image=stocked, pull="always").start(DOCKER_CONFIG=str(tmp_path))
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith(f'ClientError: no access to the image "{stocked}"')
    assert f"docker login {stocked.partition('/')[0]}" in reason
    assert "[backends.docker.images]" in reason


def test_an_image_that_does_not_exist_fails_the_job(
    agent: MakeAgent, stocked: str, tmp_path: Path
) -> None:
    _write_config(tmp_path, stocked.partition("/")[0], "alice:secret")
    name = stocked.replace("img:1", "other:2")
    node = agent("echo ran", image=name).start(DOCKER_CONFIG=str(tmp_path))
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("ClientError: ")
    assert f'"{name}"' in reason


def test_a_registry_that_is_not_there_fails_the_job(agent: MakeAgent) -> None:
    name = f"127.0.0.1:{_free_port()}/team/img:1"
    node = agent("echo ran", image=name).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert "cannot be reached" in reason
    assert f"docker pull {name}" in reason


def test_a_pull_can_be_stopped(agent: MakeAgent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/team/img:1"
        node = agent("echo ran", image=name).start()
        node.reports.wait_for(lambda: node.fact(Kind.PULLING))
        node.signal(15)
        node.wait()
    assert node.ended() == ("stopped", "")


def test_a_credential_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-mine"
    program.write_text('#!/bin/sh\nread w; echo "{\\"Username\\":\\"$w\\",\\"Secret\\":\\"s\\"}"\n')
    program.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {"r.test:5000": "mine"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = registry.authorization("r.test:5000/a/b:c")["X-Registry-Auth"]
    assert json.loads(base64.urlsafe_b64decode(said)) == {
        "username": "r.test:5000",
        "password": "s",
        "serveraddress": "r.test:5000",
    }
    assert registry.authorization("other.test/a") == {}


def test_amazons_registry_is_asked_for_a_token_at_aws_and_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _free_port()
    with (tmp_path / "log").open("w") as log:
        aws = subprocess.Popen(
            [".venv/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log
        )
    until(lambda: _answers(port), 60)
    (tmp_path / "config").write_text(
        f"[default]\nservices = here\n[services here]\necr =\n"
        f"  endpoint_url = http://127.0.0.1:{port}\n"
    )
    (tmp_path / "keys").write_text("[default]\naws_access_key_id=k\naws_secret_access_key=s\n")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-this-server")
    try:
        said = registry.authorization(f"{ECR}/team/img:1")["X-Registry-Auth"]
    finally:
        aws.terminate()
        aws.wait()
    account = json.loads(base64.urlsafe_b64decode(said))
    assert account["username"] == "AWS"
    assert account["password"]


def test_without_aws_credentials_the_reason_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NodeOver, match="this machine has no AWS credentials"):
        registry.authorization(f"{ECR}/team/img:1")


@pytest.mark.parametrize(
    ("name", "host", "parts"),
    [
        ("img", "docker.io", ("img", "latest")),
        ("img:2", "docker.io", ("img", "2")),
        ("team/img:2", "docker.io", ("team/img", "2")),
        ("localhost/img", "localhost", ("localhost/img", "latest")),
        ("r.test:5000/a/img", "r.test:5000", ("r.test:5000/a/img", "latest")),
        ("r.test:5000/img:1@sha256:ab", "r.test:5000", ("r.test:5000/img", "sha256:ab")),
    ],
)
def test_names_are_read_as_docker_reads_them(name: str, host: str, parts: tuple[str, str]) -> None:
    assert registry.registry_of(name) == host
    assert registry.split(name) == parts


def test_progress_counts_layers_and_bytes() -> None:
    progress = Progress()
    assert str(progress) == ""
    for line in (
        {"status": "Pulling from team/img", "id": "1"},
        {"status": "Pulling fs layer", "id": "a"},
        {"status": "Already exists", "id": "b"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 250, "total": 1000_000}},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 5e5, "total": 1e6}},
    ):
        progress.note(line)
    assert str(progress) == "1 of 2 layers, 0.5 of 1.0 MB, 50%"
    progress.note({"status": "Pull complete", "id": "a"})
    assert str(progress) == "2 of 2 layers, 1.0 of 1.0 MB, 100%"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("write /var/lib/docker/x: no space left on device", "disk is full"),
        ("Get https://r/v2/: dial tcp: lookup r: no such host", "cannot be reached"),
        ("manifest for r/i:1 not found: manifest unknown", "there is no image"),
        ("pull access denied for i, repository does not exist", "nobody is logged in"),
        ("no matching manifest for linux/arm64 in the manifest list", "could not be pulled"),
    ],
)
def test_each_refusal_names_the_image_and_what_to_do(text: str, words: str) -> None:
    reason = registry.refusal("r.test/i:1", text, anonymous=True).reason
    assert reason.startswith("ClientError: ")
    assert words in reason
    assert text in reason
    assert '"r.test/i:1"' in reason
