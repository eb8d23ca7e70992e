"""An agent that is not root, and a container that is."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.docker.conftest import ENGINE, DockerAgent

from trainshed.testing.plans import node_plan
from trainshed.testing.reports import Reports

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
NOBODY = 65534
SECRET = (
    "umask 077; echo 7 >/opt/ml/model/w; mkdir /opt/ml/model/d /opt/ml/output/data/e; "
    "echo 8 >/opt/ml/model/d/x; echo why >/opt/ml/output/failure; ln -s /etc/passwd /opt/ml/model/l"
)


AS_NOBODY = f"""
import importlib, os, sys
from trainshed.agent import __main__ as agent
# The interpreter may lie where nobody can read: all is loaded before.
for name in (*agent._LATE, "trainshed.agent.runtimes.docker.runtime",
             "trainshed.agent.runtimes.docker.cleaning", "trainshed.agent.feeding.mounting"):
    importlib.import_module(name)
group = os.stat("{ENGINE}").st_gid
os.setgroups([])
os.setresgid(group, group, group)
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
sys.exit(agent.main(sys.argv[1:]))
"""


class NobodysAgent(DockerAgent):
    """An agent whose user may use the engine, and is nobody otherwise."""

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-I", "-c", AS_NOBODY, *words, str(self.folder)],
            stdin=subprocess.DEVNULL,
        )

    def lay_down(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "plan.json").write_text(self.plan.to_json())
        for path in (self.folder, self.folder / "plan.json"):
            os.chown(path, NOBODY, NOBODY)


@pytest.fixture
def nobodys(agent: MakeAgent, reports: Reports) -> Iterator[Callable[..., NobodysAgent]]:
    """Return a maker of agents that work for nobody in a folder of nobody's."""
    root = Path(tempfile.mkdtemp(prefix="trainshed-nobody-"))
    os.chown(root, NOBODY, NOBODY)
    made: list[NobodysAgent] = []

    def make(script: str, **changes: Any) -> NobodysAgent:
        like = agent(script).plan
        plan = node_plan(
            root,
            server_url=reports.url,
            token=reports.token,
            node_id=like.node_id,
            entrypoint=like.entrypoint,
            image=like.image,
            runtime="docker",
            cache=str(root / "cache"),
            **changes,
        )
        made.append(NobodysAgent(root, plan, reports))
        made[-1].lay_down()
        return made[-1]

    yield make
    for each in made:
        each.remove()
    shutil.rmtree(root)


def _owners(folder: Path) -> set[int]:
    return {os.lstat(path).st_uid for path in folder.rglob("*")}


def test_what_root_wrote_in_the_container_is_delivered_and_the_agents_own(
    nobodys: Callable[..., NobodysAgent],
) -> None:
    node = nobodys(f"{SECRET}; exit 9")
    assert node.begin().wait(120) == 0
    assert node.ended() == ("failed", "AlgorithmError: why, exit code: 9")
    out = node.folder.parents[1] / "out/job-1/output"
    assert {path.name for path in out.iterdir()} == {"model.tar.gz"}
    assert _owners(node.folder) == {NOBODY}
    assert node.left() == ""


def test_what_a_dead_agent_left_can_be_deleted_too(
    nobodys: Callable[..., NobodysAgent],
) -> None:
    node = nobodys(f"{SECRET}; echo up; sleep 600")
    process = node.begin()
    node.wait_for_line("up")
    process.kill()
    process.wait()
    assert 0 in _owners(node.folder)
    assert node.begin("--clean").wait(120) == 0
    assert _owners(node.folder) == {NOBODY}
    assert node.left() == ""


def test_what_root_left_in_a_warm_pool_can_be_deleted_once_that_is_let_go(
    nobodys: Callable[..., NobodysAgent],
) -> None:
    with tempfile.TemporaryDirectory(prefix="trainshed-pools-") as pools:
        cache = Path(pools, "algo-1", "cache")
        cache.mkdir(parents=True)
        for path in (Path(pools), cache.parent, cache):
            os.chown(path, NOBODY, NOBODY)
        keeps = 'cd "$SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"; umask 077; mkdir d; echo 7 >d/x'
        node = nobodys(keeps, warm_cache=str(cache))
        assert node.begin().wait(120) == 0
        assert node.ended() == ("completed", "")
        assert _owners(cache) == {0}  # the next container finds it as it was
        clean = [sys.executable, "-I", "-c", AS_NOBODY, "--clean", str(cache.parent)]
        assert subprocess.run(clean, check=False, timeout=120).returncode == 0
        assert _owners(cache.parent) == {NOBODY}
