"""From settings to backends: what is offered where, and what is refused."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trainshed.agent.runtimes.docker import sockets
from trainshed.agent.runtimes.docker.engine import find_socket
from trainshed.app.backends import containers, drivers, has_nodes, local
from trainshed.app.settings import Settings, SettingsError, engine_socket, load
from trainshed.domain.instances import Instance
from trainshed.testing.plans import node_plan


def settings(folder: Path, text: str) -> Settings:
    path = folder / "trainshed.toml"
    path.write_text(text)
    return load(path)


def test_a_docker_backend_is_what_its_table_says(tmp_path: Path) -> None:
    told = settings(
        tmp_path,
        """
backend = "docker"
[backends.docker]
max_nodes = 3
pull = "always"
shm = "64m"
stop_seconds = 2
[backends.docker.images]
"*.dkr.ecr.*/mine" = "mine:1"
[backends.docker.instances]
"ml.p3.*" = { cpus = 1.5, memory = "2GiB", shm = "1g" }
""",
    )
    assert told.backend == "docker"
    assert told.backends.docker is not None
    offered = containers(told.backends.docker, "unix:///run/x.sock")
    assert (offered.max_nodes, offered.pull, offered.shm, offered.grace) == (
        3,
        "always",
        1 << 26,
        2,
    )
    assert offered.images[0] == ("*.dkr.ecr.*/mine", "mine:1")
    assert offered.instances == (("ml.p3.*", Instance(cpus=1.5, memory=2 << 30, shm=1 << 30)),)
    assert offered.engine == "unix:///run/x.sock"


def test_the_grace_between_the_signals_can_be_set_for_processes_too(tmp_path: Path) -> None:
    told = settings(tmp_path, "[backends.local]\nstop_seconds = 3\n")
    assert local(told.backends.local).grace == 3


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('shm = "much"', r"shm: 'much' is no size.* - at `\$.backends.docker`"),
        (
            '[backends.docker.instances]\n"ml.x" = { cpus = 1, memory = "0" }',
            r"instances: 'ml.x': '0' is no size.* - at `\$.backends.docker`",
        ),
        ('pull = "sometimes"', "pull"),
        ("max_nodes = 0", "max_nodes"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(
    tmp_path: Path, table: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        settings(tmp_path, f"[backends.docker]\n{table}\n")


def test_the_engine_is_looked_for_where_it_usually_is(tmp_path: Path) -> None:
    assert engine_socket("unix:///a", {"DOCKER_HOST": "unix:///b"}) == "unix:///a"
    assert engine_socket("", {"DOCKER_HOST": "unix:///b"}) == "unix:///b"
    place = tmp_path / "podman"
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as podman:
        podman.bind(str(place / "podman.sock"))
        found = engine_socket("", {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert found in {f"unix://{place}/podman.sock", "unix:///var/run/docker.sock"}


def test_a_server_offers_what_its_agents_will_find(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert sockets.usual(environment)[:2] == ["/var/run/docker.sock", f"{tmp_path}/docker.sock"]
    with socket.socket(socket.AF_UNIX) as rootless:
        rootless.bind(str(tmp_path / "docker.sock"))
        assert engine_socket("", environment) == f"unix://{find_socket('', environment)}"


def test_the_nodes_that_a_former_start_left_are_seen(tmp_path: Path) -> None:
    assert not has_nodes(tmp_path, "docker")
    torn = tmp_path / "nodes" / "torn"
    torn.mkdir(parents=True)
    (torn / "plan.json").write_text("{")
    assert not has_nodes(tmp_path, "docker")
    plan = node_plan(tmp_path, server_url="http://127.0.0.1:1", token="t", runtime="docker")
    folder = tmp_path / "nodes" / plan.node_id
    folder.mkdir()
    (folder / "plan.json").write_text(plan.to_json())
    assert has_nodes(tmp_path, "docker")
    assert not has_nodes(tmp_path, "process")


def test_further_backends_have_a_kind_and_a_name_of_their_own(tmp_path: Path) -> None:
    told = settings(
        tmp_path,
        """
backend = "rehearsal"
[backends.rehearsal]
kind = "simulated"
max_nodes = 7
[backends.rehearsal.job]
duration = 3
[backends.spare]
kind = "local"
max_nodes = 2
""",
    )
    assert sorted(told.backends.further) == ["rehearsal", "spare"]
    offered = drivers(told, tmp_path)
    assert offered["spare"].capabilities.max_nodes == 2
    assert "rehearsal" not in offered, "nobody would hear its agents"
    for driver in offered.values():
        driver.close()


def test_a_simulated_backend_is_known_only_where_it_is_asked_for() -> None:
    """Nothing of testing/ is loaded by a server that does not name it."""
    asked = "import sys, trainshed.app.serve; print([m for m in sys.modules if '.testing' in m])"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('backend = "nowhere"', r"no \[backends.nowhere\]"),
        ("[backends.typo]\nmax_nodes = 1", "backends.typo: kind is None; it must be one of docker"),
        ('[backends.a]\nkind = "magic"', "kind is 'magic'"),
        ('[backends.a]\nkind = "simulated"\nmax_node = 1', "backends.a: .*max_node"),
        ('[backends.a]\nkind = "simulated"\n[backends.a.job]\nduration = -1', r"\$.job.duration"),
        ('[backends."A/b"]\nkind = "local"', "backends.A/b: .*name"),
        ('[backends.a]\nkind = "docker"\nshm = "much"', "'much' is no size"),
        ("backends = 3", "backends"),
        ("[backends]\nfurther = 3", "backends.further: kind is None"),
    ],
)
def test_a_backend_that_means_nothing_is_refused_by_name(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        settings(tmp_path, text)


CLUSTER = """
[backends.gpus]
kind = "kubernetes"
server_url = "http://10.0.0.1:7070"
agent_image = "trainshed:1"
kubeconfig = "/nowhere/kubeconfig"
max_nodes = 7
capacity = { "ml.p3.*" = 2 }
stop_seconds = 30
shm = "1g"

[backends.gpus.images]
"*pytorch*" = "pytorch:2"

[backends.gpus.instances."ml.p3.*"]
cpus = 7
memory = "56g"
gpus = 1
"""


def test_a_cluster_is_offered_as_its_table_says_whether_it_is_there_or_not(tmp_path: Path) -> None:
    found = drivers(settings(tmp_path, CLUSTER), tmp_path)["gpus"].capabilities
    assert (found.runtime, found.server_url) == ("sibling", "http://10.0.0.1:7070")
    assert (found.max_nodes, found.grace, found.shm) == (7, 30.0, 1 << 30)
    assert found.capacity == (("ml.p3.*", 2),)
    assert found.images[0] == ("*pytorch*", "pytorch:2")
    assert found.instances == (("ml.p3.*", Instance(cpus=7, memory=56 << 30, gpus=1)),)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ('server_url = "10.0.0.1:7070"', "server_url"),
        ('agent_memory = "much"', "agent_memory: 'much' is no size"),
        ('instances = { "ml.*" = { cpus = 1, memory = "much" } }', r"instances: 'ml.\*': 'much'"),
        ('file_systems = { fs-1 = "/mnt" }', "file_systems"),
        ('kubconfig = "x"', "kubconfig"),
    ],
)
def test_a_cluster_that_cannot_be_used_as_told_says_where(
    tmp_path: Path, wrong: str, says: str
) -> None:
    told = '[backends.gpus]\nkind = "kubernetes"\nagent_image = "a"\n'
    if "server_url" not in wrong:
        told += 'server_url = "http://10.0.0.1:7070"\n'
    with pytest.raises(SettingsError, match=rf"backends\.gpus: .*{says}"):
        settings(tmp_path, told + wrong)


def test_a_cluster_is_not_offered_without_the_way_to_this_server(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="missing required field `server_url`"):
        settings(tmp_path, '[backends.gpus]\nkind = "kubernetes"\nagent_image = "a"\n')
