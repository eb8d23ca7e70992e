"""Backends are listed, and added once the cluster allows what is needed."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
import yaml
from tests.cli.conftest import Said, Shell
from tests.cli.little_cluster import LittleCluster, serving

from trainshed.drivers.kubernetes import permissions

URL = "http://10.0.0.1:7070"
IMAGE = "registry.example.com/trainshed:1"
WRITTEN = """\
# What we were told by hand.
region = "eu-central-1"   # Frankfurt

[backends.local]
max_nodes = 2
"""


@pytest.fixture
def cluster() -> Iterator[LittleCluster]:
    with serving(LittleCluster()) as found:
        yield found


class Adding:
    """Adds the backend k8s of a cluster."""

    def __init__(self, shell: Shell, cluster: LittleCluster) -> None:
        self.shell = shell
        self.config = cluster.kubeconfig(shell.folder / "kubeconfig")
        self.settings = shell.data_dir / "trainshed.toml"

    def __call__(self, *words: str, code: int = 0) -> Said:
        where = ["--server-url", URL, "--agent-image", IMAGE, "--kubeconfig", str(self.config)]
        return self.shell("backend", "add", "k8s", *where, *words, code=code)

    @property
    def written(self) -> dict[str, object]:
        found: dict[str, object] = tomllib.loads(self.settings.read_text())["backends"]["k8s"]
        return found


@pytest.fixture
def add(shell: Shell, cluster: LittleCluster) -> Adding:
    return Adding(shell, cluster)


def test_a_backend_is_added_behind_what_the_file_holds(add: Adding) -> None:
    add.settings.parent.mkdir(parents=True)
    add.settings.write_text(WRITTEN)
    add.settings.chmod(0o640)
    said = add("--set", "max_nodes=20", "--set", 'labels={"team" = "ml"}', "--set", "queue=gpu")
    assert f"added [backends.k8s] to {add.settings}" in said.lines
    assert "kubernetes v1.32.4" in said.out
    assert add.settings.read_text().startswith(WRITTEN)
    assert add.settings.stat().st_mode & 0o777 == 0o640
    assert add.written == {
        "kind": "kubernetes",
        "server_url": URL,
        "agent_image": IMAGE,
        "kubeconfig": str(add.config),
        "max_nodes": 20,
        "labels": {"team": "ml"},
        "queue": "gpu",
    }
    assert [line.split() for line in add.shell("backend", "ls").lines] == [
        ["NAME", "KIND"],
        ["local", "local", "default"],
        ["k8s", "kubernetes"],
    ]


def test_a_file_is_made_for_its_owner_alone_when_there_is_none(add: Adding) -> None:
    add()
    assert add.settings.stat().st_mode & 0o777 == 0o600
    assert add.written["kind"] == "kubernetes"


def test_a_backend_that_is_there_is_not_added_again(add: Adding) -> None:
    add()
    before = add.settings.read_text()
    assert "has a [backends.k8s] already" in add(code=1).err
    assert add.settings.read_text() == before
    assert "another" in add.shell("backend", "add", "docker", "--kind", "docker", code=1).err


def test_what_is_missing_is_shown_with_the_rules_that_grant_it(
    add: Adding, cluster: LittleCluster
) -> None:
    cluster.denied = {("batch", "jobs", "create"), ("", "events", "watch")}
    cluster.denied_to = {"default": {("", "pods/log", "get")}}
    said = add(code=1)
    table, _, roles = said.out.partition("What grants it")
    rows = [line.split("  ") for line in table.splitlines()]
    assert [row[0] for row in rows if row[0] in {"server", "default"}] == [
        "server", "server", "default"
    ]  # fmt: skip
    assert "jobs.batch" in table
    granted = list(yaml.safe_load_all(roles.partition("\n")[2]))
    assert [each["kind"] for each in granted] == ["Role", "Role", "RoleBinding"]
    assert granted[0]["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["watch"]},
    ]
    assert len(granted[1]["rules"]) == len(permissions.NODE)
    assert granted[2]["subjects"][0]["name"] == "system:serviceaccounts:default"
    assert not add.settings.exists()
    cluster.user = "ann@example.com"
    bound = list(yaml.safe_load_all(add(code=1).out.partition("kubectl apply -f -\n")[2]))[1]
    assert bound["roleRef"]["name"] == "trainshed-server"
    assert bound["subjects"][0]["name"] == "ann@example.com"
    add("--anyway")
    assert add.written["server_url"] == URL


def test_every_permission_that_the_driver_has_is_asked_for(
    add: Adding, cluster: LittleCluster
) -> None:
    wanted = {(of.group, of.resource, verb) for of, verb in permissions.each(permissions.SERVER)}
    cluster.denied = set(wanted)
    told = json.loads(add("-o", "json", code=1).out)
    assert told["written"] is None
    assert {
        (each["group"], each["resource"], verb)
        for each in told["missing"]
        for verb in each["verbs"]
    } == wanted


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "kubectl create namespace ml"),
        ({"pod-security.kubernetes.io/enforce": "restricted"}, "label it"),
    ],
)
def test_a_namespace_in_which_no_job_could_run_is_told_of(
    add: Adding, cluster: LittleCluster, labels: dict[str, str] | None, said: str
) -> None:
    if labels is not None:
        cluster.namespaces["ml"] = labels
    assert said in add("--namespace", "ml", code=1).err
    assert not add.settings.exists()


def test_a_cluster_that_is_too_old_is_told_of(add: Adding, cluster: LittleCluster) -> None:
    cluster.version = {"gitVersion": "v1.19.0"}
    assert "1.20 is the oldest" in add(code=1).err


def test_what_the_user_may_not_ask_is_no_reason_against_it(
    add: Adding, cluster: LittleCluster
) -> None:
    cluster.hidden = True
    said = add()
    assert said.err.count("not known:") == 2
    assert add.written["kind"] == "kubernetes"


def test_checking_writes_nothing(add: Adding) -> None:
    assert add("--check").lines[-1] == "all is there"
    assert not add.settings.exists()


def test_who_is_not_known_or_names_no_cluster_is_told_so(
    add: Adding, cluster: LittleCluster
) -> None:
    cluster.known = False
    assert "does not know who asks" in add(code=1).err
    assert "not found" in add("--context", "elsewhere", code=1).err.lower()


def test_what_a_cluster_needs_is_asked_for_by_name(shell: Shell) -> None:
    said = shell("backend", "add", "k8s", code=1).err
    assert "--server-url" in said
    assert "--agent-image" in shell("backend", "add", "k8s", "--server-url", URL, code=1).err
    wrong = shell("backend", "add", "spare", "--kind", "simulated", "--set", "nodes=no", code=1)
    assert "backends.spare" in wrong.err


def test_without_the_extra_it_is_named(shell: Shell) -> None:
    # Python then imports no such package: what an installation without the extra is like.
    program = (
        "import sys; sys.modules['lightkube'] = None\n"
        "from trainshed.cli.main import main; sys.exit(main())"
    )
    words = ["backend", "add", "k8s", "--server-url", URL, "--agent-image", IMAGE]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **shell.environment},
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'trainshed[kubernetes]'" in done.stderr
