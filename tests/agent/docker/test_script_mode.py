"""Script mode in images that never heard of it: our toolkit is their ``train``."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.docker.conftest import DockerAgent

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
MakeImage = Callable[[str], str]
SCRIPT = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["SM_MODEL_DIR"], sys.executable, os.getuid())
open(os.path.join(os.environ["SM_MODEL_DIR"], "w"), "w").write("1")
"""


@pytest.fixture
def code(tmp_path: Path) -> dict[str, str]:
    """Return the hyperparameters of a job whose script is an archive, as the SDK does."""
    path = tmp_path / "source/sourcedir.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("train.py")
        member.size = len(SCRIPT)
        tar.addfile(member, io.BytesIO(SCRIPT.encode()))
    return {
        "sagemaker_program": json.dumps("train.py"),
        "sagemaker_submit_directory": json.dumps(f"file://{path}"),
        "lr": "0.1",
    }


def test_a_script_runs_in_an_image_that_has_python_and_nothing_else(
    agent: MakeAgent, code: dict[str, str], tmp_path: Path
) -> None:
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code).start()
    node.wait()
    assert node.ended() == ("completed", "")
    words = "['--lr', '0.1'] /opt/ml/code /opt/ml/model /usr/bin/python3 0"
    assert node.lines()[-1] == words
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_an_image_is_looked_into_once_on_a_machine(
    agent: MakeAgent, code: dict[str, str], tmp_path: Path
) -> None:
    seen = []
    for _ in range(2):
        node = agent(entrypoint=None, script_mode=True, hyperparameters=code).start()
        node.wait()
        assert node.ended() == ("completed", "")
        seen += [path.stat().st_ino for path in (tmp_path / "cache/programs").iterdir()]
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_the_images_entrypoint_is_given_train(
    agent: MakeAgent, image: MakeImage, code: dict[str, str]
) -> None:
    wrapper = r"""RUN printf '#!/bin/sh\necho wrapped "$@"\nexec "$@"\n' >/wrap && chmod +x /wrap
ENTRYPOINT ["/wrap"]
CMD ["sh"]"""
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code, image=image(wrapper))
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert "wrapped train" in node.lines()
    assert any(line.startswith("['--lr', '0.1'] /opt/ml/code") for line in node.lines())


def test_an_image_with_a_train_of_its_own_is_left_alone(
    agent: MakeAgent, image: MakeImage, code: dict[str, str], tmp_path: Path
) -> None:
    own = r"""RUN printf '#!/bin/sh\necho own train\nls /opt/trainshed\n' >/opt/t && chmod +x /opt/t
RUN ln -s ../../../opt/t /usr/local/bin/train"""
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code, image=image(own))
    node.start().wait()
    assert "own train" in node.lines()
    assert not any((tmp_path / "cache").glob("toolkit"))
    assert not node.folder.joinpath("sourcedir.tar.gz").exists()


def test_a_script_runs_as_the_images_own_user(
    agent: MakeAgent, image: MakeImage, code: dict[str, str], tmp_path: Path
) -> None:
    node = agent(
        entrypoint=None, script_mode=True, hyperparameters=code, image=image("USER 1234:1234")
    )
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert node.lines()[-1].endswith(" 1234")
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


def test_the_path_of_the_image_says_which_python_runs(
    agent: MakeAgent, image: MakeImage, code: dict[str, str]
) -> None:
    lines = """RUN mkdir -p /opt/own/bin && ln -s /usr/bin/python3 /opt/own/bin/python3
ENV PATH=/opt/own/bin:/usr/bin:/bin"""
    node = agent(entrypoint=None, script_mode=True, hyperparameters=code, image=image(lines))
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert "/opt/own/bin/python3" in node.lines()[-1]


def test_an_image_that_can_run_no_script_says_what_it_lacks(
    agent: MakeAgent, image: MakeImage, code: dict[str, str]
) -> None:
    node = agent(
        entrypoint=None,
        script_mode=True,
        hyperparameters=code,
        image=image("ENV PATH=/nowhere:/opt"),
    )
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert "no ENTRYPOINT, and neither train nor python3 nor python on its PATH" in reason
    assert "/nowhere:/opt" in reason
