"""What the answers of an API server mean to us, and what becomes of a driver without one."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Pod, Secret
from msgspec import convert

from trainshed.domain.errors import DriverError, NoCapacity
from trainshed.drivers.base import Handle
from trainshed.drivers.kubernetes.cluster import Away, Cluster, Conflict, Expired, Refused
from trainshed.drivers.kubernetes.driver import KubernetesDriver
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.testing.plans import node_plan

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: here, context: {{cluster: c, user: u, namespace: ml}}}}]
current-context: here
"""


@dataclass
class Answers:
    """An API server that says what it is told to, to whatever it is asked."""

    status: int = 200
    body: Any = None
    kind: str = "application/json"
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def be(self, status: int, reason: str = "", message: str = "") -> None:
        """Answer with a Status from now on."""
        self.status = status
        self.body = {"kind": "Status", "code": status, "reason": reason, "message": message}


@pytest.fixture
def answers() -> Iterator[Answers]:
    told = Answers()

    class Says(BaseHTTPRequestHandler):
        def _say(self) -> None:
            told.asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            data = json.dumps(told.body).encode()
            self.send_response(told.status)
            self.send_header("Content-Type", told.kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _say  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def cluster(answers: Answers, tmp_path: Path) -> AsyncIterator[Cluster]:
    found = Cluster(kubeconfig=written(tmp_path, answers.url))
    yield found
    await found.close()


def written(folder: Path, url: str) -> str:
    path = folder / "kubeconfig"
    path.write_text(KUBECONFIG.format(url=url))
    return str(path)


def secret() -> Secret:
    return Secret(metadata=ObjectMeta(name="ts-a"))


async def test_objects_are_asked_for_in_their_namespace(cluster: Cluster, answers: Answers) -> None:
    answers.body = {"kind": "Secret", "metadata": {"name": "ts-a", "uid": "1"}}
    made = await cluster.create(secret(), cluster.namespace())
    assert made is not None
    assert made.metadata is not None
    assert made.metadata.uid == "1"
    assert answers.asked == ["POST /api/v1/namespaces/ml/secrets"]


@pytest.mark.parametrize(
    ("status", "message", "error", "says"),
    [
        (
            403,
            'secrets "ts-a" is forbidden: exceeded quota: few',
            NoCapacity,
            "exceeded quota: few",
        ),
        (403, "User x cannot create resource secrets", Refused, "docs/how-to/run-on-kubernetes.md"),
        (404, 'namespaces "ml" not found', Refused, "is there a namespace ml"),
        (422, "Secret is invalid: data: Too long", Refused, "data: Too long"),
        (401, "Unauthorized", Away, "answers 401"),
        (429, "slow down", Away, "slow down"),
        (500, "etcdserver: request timed out", Away, "request timed out"),
    ],
)
async def test_what_a_refusal_means(
    cluster: Cluster, answers: Answers, status: int, message: str, error: type, says: str
) -> None:
    answers.be(status, "Reason", message)
    with pytest.raises(error, match=says) as refused:
        await cluster.create(secret(), "ml")
    hopeless = not isinstance(refused.value, NoCapacity)
    assert hopeless is (error is Refused)


async def test_what_is_there_or_gone_is_no_error(cluster: Cluster, answers: Answers) -> None:
    answers.be(409, "AlreadyExists", "it exists")
    assert await cluster.create(secret(), "ml") is None
    answers.be(404, "NotFound", "it is gone")
    assert await cluster.get(Secret, "ts-a", "ml") is None
    assert await cluster.patch(Secret, "ts-a", {}, "ml") is None
    await cluster.delete(Secret, "ts-a", "ml")


async def test_a_change_of_what_another_has_changed_is_a_conflict(
    cluster: Cluster, answers: Answers
) -> None:
    answers.be(409, "Conflict", "the object has been modified")
    with pytest.raises(Conflict):
        await cluster.patch(Secret, "ts-a", {"metadata": {"resourceVersion": "1"}}, "ml")


async def test_a_watch_from_long_ago_has_expired(cluster: Cluster, answers: Answers) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    answers.body = {"type": "ERROR", "object": gone}
    with pytest.raises(Expired, match="too old"):
        async for _ in cluster.watch(Pod, "ml", None, "1"):
            pass


async def test_what_stands_before_a_cluster_may_answer_in_its_place(
    cluster: Cluster, answers: Answers
) -> None:
    answers.status, answers.kind, answers.body = 502, "text/html", "bad gateway"
    with pytest.raises(Away, match="502"):
        await cluster.get(Secret, "ts-a", "ml")
    answers.status, answers.kind, answers.body = 200, "text/html", "please log in"
    with pytest.raises(Away, match="can't be read"):
        await cluster.get(Secret, "ts-a", "ml")


async def test_the_cluster_is_asked_once_what_it_knows(cluster: Cluster, answers: Answers) -> None:
    answers.body = {"kind": "APIGroupList", "groups": [{"name": "kueue.x-k8s.io"}]}
    assert await cluster.has_group("kueue.x-k8s.io")
    assert not await cluster.has_group("jobset.x-k8s.io")
    assert answers.asked == ["GET /apis"]


@pytest.mark.parametrize(
    "text", ["", "clusters: 5", "nonsense: [", KUBECONFIG.format(url="x").replace("here", "a", 1)]
)
def test_a_kubeconfig_that_cannot_be_used_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(Away, match=r"kubeconfig \(.*can't be used|has no current context"):
        Cluster(kubeconfig=str(path)).namespace()


def backend(kubeconfig: str) -> KubernetesBackend:
    told = {"server_url": "http://10.0.0.1:7070", "agent_image": "a", "kubeconfig": kubeconfig}
    return convert(told, KubernetesBackend)


async def test_jobs_wait_for_a_cluster_that_is_away_and_say_why(tmp_path: Path) -> None:
    plan = node_plan(tmp_path, server_url="http://10.0.0.1:7070", token="t", image="i")
    nowhere = written(tmp_path, "http://127.0.0.1:9")
    for kubeconfig, says in (
        (nowhere, "the cluster does not answer"),
        (str(tmp_path / "missing"), "can't be used"),
    ):
        driver = KubernetesDriver(
            name="k8s", options=backend(kubeconfig), clock=lambda: datetime.now(UTC)
        )
        driver.get_ready()
        with pytest.raises(NoCapacity, match=says):
            await driver.launch(plan)
        with pytest.raises(DriverError, match=says):
            await driver.observe([Handle("k8s", "ml/a.1.algo-1")])
        with pytest.raises(DriverError, match=says):
            await driver.remove(Handle("k8s", "ml/a.1.algo-1"))
        driver.close()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=10)
