"""``trainshed lint`` on images of a real engine: nothing of them is run, nothing is left behind."""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Shell

pytestmark = pytest.mark.docker

BASE = "trainshed-test/python:base"
BAD = """\
COPY train /usr/local/bin/train
COPY weights /opt/ml/model/weights
COPY other /opt/ml/other
RUN mkdir -p /opt/ml/code && touch /opt/ml/code/a && ln -s /bin/true /usr/bin/mpirun
USER 1000
VOLUME /opt/ml/model
EXPOSE 8080
"""
GOOD = """\
COPY train /srv/train
RUN mkdir -p /etc/ssl/certs && touch /etc/ssl/certs/ca-certificates.crt && chmod +x /srv/train
ENV PATH=/srv:/usr/bin:/bin
"""


def docker(*words: str) -> str:
    ran = subprocess.run(
        ["docker", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.strip()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a maker of images on Debian with Python; they are removed after the test."""
    made = []

    def make(recipe: str, **texts: str) -> str:
        folder = tmp_path / "context"
        folder.mkdir()
        for name, text in {"Dockerfile": f"FROM {BASE}\n{recipe}", **texts}.items():
            (folder / name).write_text(text, newline="")
        name = f"trainshed-test/lint:{uuid.uuid4().hex[:12]}"
        docker("build", "--force-rm", "--tag", name, str(folder))
        made.append(name)
        return name

    yield make
    for name in made:
        docker("rmi", "--force", name)


def found(shell: Shell, *words: str, code: int = 0) -> list[tuple[str, str]]:
    said: dict[str, Any] = json.loads(shell("lint", *words, "-o", "json", code=code).out)
    return [(f["code"], f["found"]) for f in said["findings"]]


def test_an_image_with_nothing_of_its_own_says_that_only_script_mode_works(shell: Shell) -> None:
    assert [code for code, _ in found(shell, BASE)] == ["TS105", "TS219"]
    assert docker("ps", "-aq", "--filter", "label=trainshed.lint") == ""


def test_what_lies_in_an_image_is_found(shell: Shell, build: Callable[..., str]) -> None:
    script = "#!/usr/bin/env nopython\nSIGTERM\n"
    name = build(BAD, train=script, weights="1", other="2")
    assert found(shell, name, code=1) == [
        ("TS201", "its mode has no x"),
        ("TS204", "#!/usr/bin/env nopython"),
        ("TS211", "/opt/ml/model/weights"),
        ("TS111", "VOLUME /opt/ml/model"),
        ("TS113", "USER 1000"),
        ("TS212", "/opt/ml/other"),
        ("TS215", "mpirun is /usr/bin/true"),
        ("TS114", "EXPOSE 8080/tcp"),
        ("TS219", "no bundle in /etc/ssl or /etc/pki"),
    ]


def test_an_image_that_keeps_the_contract_gives_no_finding(
    shell: Shell, build: Callable[..., str]
) -> None:
    name = build(GOOD, train='#!/bin/sh\nexec python3 -u /srv/t.py "$@"\n')
    said = shell("lint", name, "--strict")
    assert said.lines[0].startswith(f"nothing found: image {name} (")
    assert said.lines[0].endswith("; /srv/train")


def test_the_script_behind_an_entrypoint_is_read(shell: Shell, build: Callable[..., str]) -> None:
    recipe = 'WORKDIR /srv\nCOPY run.sh .\nENTRYPOINT ["bash", "run.sh"]\n'
    name = build(recipe, **{"run.sh": "set -e\r\npython3 -u t.py\r\n"})
    assert [code for code, _ in found(shell, name, code=1)] == [
        "TS202",
        "TS205",
        "TS107",
        "TS219",
    ]


def test_an_entrypoint_that_is_not_there_is_found(shell: Shell, build: Callable[..., str]) -> None:
    name = build('ENTRYPOINT ["/srv/none"]\n')
    assert ("TS213", "/srv/none") in found(shell, name, code=1)


def test_a_request_names_the_image_and_what_is_asked_of_it(shell: Shell) -> None:
    request = {
        "AlgorithmSpecification": {"TrainingImage": BASE},
        "HyperParameters": {"sagemaker_program": "t.py", "sagemaker_mpi_enabled": "true"},
    }
    (shell.folder / "job.json").write_text(json.dumps(request))
    codes = [code for code, _ in found(shell, "--request", "job.json", code=1)]
    assert codes == ["TS216", "TS217", "TS105", "TS219"]


def test_an_image_that_is_not_there_says_how_to_get_it(shell: Shell) -> None:
    said = shell("lint", "no/such-image:1", code=1)
    assert "there is no folder and no image of the name no/such-image:1" in said.err
    assert "docker pull no/such-image:1" in said.err
