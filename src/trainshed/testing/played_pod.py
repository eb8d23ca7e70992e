"""One pod of a played cluster, with real processes: agents as they are, and a program as "algo".

The pod's file system is a folder. Its processes are this machine's; the agents see of them what a
played ``/proc`` shows.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainshed.domain import pods
from trainshed.domain.plan import NodePlan
from trainshed.testing.played_cluster import PlayedCluster
from trainshed.testing.pod_log import Entry, entries

ID = "0123456789abcdef" * 4
"""The main container's."""
_READ = 1 << 20


class PlayedPod:
    """A pod whose containers are started one by one, as a kubelet would."""

    def __init__(
        self,
        root: Path,
        plan: NodePlan,
        cluster: PlayedCluster,
        ca: Path,
        environment: Mapping[str, str],
    ) -> None:
        """Have the pod there, with a claim of its node that nobody holds.

        Args:
            root: what is ``/`` for its agents.
            plan: the node's.
            cluster: where it is.
            ca: by what agents know the cluster.
            environment: what all containers have.
        """
        self.root = root
        self.plan = plan
        self.cluster = cluster
        self._environment = dict(environment)
        self.name = f"{pods.object_name(plan.node_id)}-x"
        self.uid = f"uid-of-{plan.host}"
        self.folder = _below(root, pods.NODE_FOLDER)
        self.tells_of_ends = True
        """Whether the kubelet tells of the main container's end; old ones tell nothing while they
        delete a pod."""
        self.agents: list[subprocess.Popen[bytes]] = []
        self._main: subprocess.Popen[bytes] | None = None
        self._heard: threading.Thread | None = None
        self._lay(plan, ca)
        labels = {pods.ATTEMPT_LABEL: plan.node_id.removesuffix(f".{plan.host}")}
        cluster.put_lease(pods.object_name(plan.node_id), metadata={"labels": labels}, spec={})
        cluster.put_pod(
            {
                "metadata": {"name": self.name, "uid": self.uid, "labels": labels},
                "spec": {"terminationGracePeriodSeconds": 30},
                "status": {},
            }
        )
        self.be_waiting("PodInitializing")

    @property
    def main(self) -> "subprocess.Popen[bytes]":
        """The main container's program."""
        if self._main is None:
            raise RuntimeError("the main container has not begun")
        return self._main

    @property
    def lease(self) -> dict[str, Any]:
        """The claim."""
        return self.cluster.leases[pods.object_name(self.plan.node_id)]

    def run(self, *words: str, module: str = "trainshed.agent") -> subprocess.Popen[bytes]:
        """Start an agent's program; ``words``: its arguments before the root."""
        environment = {
            **self._environment,
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.cluster.port),
            pods.POD_VARIABLE: self.name,
            pods.POD_UID_VARIABLE: self.uid,
        }
        with (self.root / "stderr").open("ab") as said:
            agent = subprocess.Popen(
                [sys.executable, "-I", "-m", module, *words, str(self.root)],
                stdin=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
                env=environment,
            )
        self.agents.append(agent)
        return agent

    def stage(self) -> int:
        """Run the init container to its end; return its exit code."""
        return self.run("--stage").wait(60)

    def begin(self, script: str) -> None:
        """Start the main container: a script for ``/bin/sh``, which finds its tree at ``$ML``."""
        main = self._main = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**self._environment, "ML": str(self.folder / "ml")},
            start_new_session=True,
        )
        self._show(main.pid)
        self.set_main({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        self._heard = threading.Thread(target=self._hear, args=(main,), daemon=True)
        self._heard.start()

    def be_waiting(self, reason: str, message: str = "") -> None:
        """Have the kubelet say that the main container waits."""
        self.set_main({"waiting": {"reason": reason, "message": message}}, container="")

    def be_over(self, exit_code: int, reason: str = "", message: str = "") -> None:
        """Have the kubelet say that the main container has ended."""
        ended = {"exitCode": exit_code, "reason": reason or "Error", "message": message}
        self.set_main({"terminated": ended})
        with self.cluster.changed:
            self.cluster.over = True

    def set_main(self, state: dict[str, Any], *, container: str = ID) -> None:
        """Have the kubelet say that the main container is so."""
        status = {
            "name": pods.MAIN,
            "state": state,
            "containerID": f"docker://{container}" if container else "",
            "imageID": "docker-pullable://repo/img@sha256:0a1b" if container else "",
        }

        def change(pod: dict[str, Any]) -> None:
            pod["status"]["containerStatuses"] = [status]

        self.cluster.change_pod(self.name, change)

    def annotate(self, **notes: str) -> None:
        """Have the driver wish something: ``stop`` or ``notice``."""

        def change(pod: dict[str, Any]) -> None:
            own = pod["metadata"].setdefault("annotations", {})
            own.update({f"trainshed.dev/{name}": text for name, text in notes.items()})

        self.cluster.change_pod(self.name, change)

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the pod's object."""
        self.cluster.change_pod(self.name, change)

    def said(self) -> str:
        """Return what the agents have said on stderr."""
        return (self.root / "stderr").read_text()

    def wait_for_main(self) -> None:
        """Return when the main container's program is over, and what it wrote is in the log."""
        if self._heard is not None:
            self._heard.join(60)

    def close(self) -> None:
        """Kill what is left."""
        for each in [*self.agents, *([self._main] if self._main else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
            each.wait()
        self.wait_for_main()

    def _lay(self, plan: NodePlan, ca: Path) -> None:
        credentials = _below(self.root, pods.CREDENTIALS)
        credentials.mkdir(parents=True)
        (credentials / "token").write_text(self.cluster.token)
        (credentials / "namespace").write_text("ns")
        (credentials / "ca.crt").write_bytes(ca.read_bytes())
        secret = _below(self.root, pods.PLAN_FILE)
        secret.parent.mkdir(parents=True)
        secret.write_text(plan.to_json())
        (self.root / "proc").mkdir()
        (self.root / "dev").mkdir()
        (self.root / "dev/termination-log").touch()

    def _show(self, pid: int) -> None:
        """Have the played /proc show a process as the container's first."""
        shown = self.root / "proc" / str(pid)
        part = self.root / f"{pid}.part"
        part.mkdir()
        (part / "cgroup").write_text(f"0::/../docker-{ID}.scope\n")
        (part / "stat").write_text(f"{pid} (sh) S 0 {' '.join('0' * 17)} 4711 0\n")
        part.rename(shown)

    def _hear(self, main: "subprocess.Popen[bytes]") -> None:
        rest = b""
        if main.stdout is None:
            raise ValueError("a container without output")
        while data := os.read(main.stdout.fileno(), _READ):
            whole, end, rest = (rest + data).rpartition(b"\n")
            self.cluster.write(*self._entries(whole + end))
        main.stdout.close()
        self.cluster.write(*self._entries(rest))
        code = main.wait()
        shown = self.root / "proc" / str(main.pid)
        shown.rename(self.root / f"{main.pid}.gone")
        with self.cluster.changed:
            self.cluster.over = True
        if self.tells_of_ends:
            self.be_over(code if code >= 0 else 128 - code, "Completed" if not code else "Error")

    def _entries(self, data: bytes) -> list[Entry]:
        return list(entries(time.time_ns(), data))


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
