"""``kubectl``: what a terminal is connected to the pods of jobs by.

As with an engine's own command, terminals, credentials and the way to a cluster are its affair.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from trainshed.client.errors import ClientError
from trainshed.client.server import Server
from trainshed.domain import names, pods


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCommand:
    """The command, and the cluster and namespace of a backend."""

    program: str
    """Its path."""
    backend: str
    options: Sequence[str]

    def words(self, *words: str) -> list[str]:
        """Return a whole command line."""
        return [self.program, *self.options, *words]

    def pod(self, job: str, host: str) -> str:
        """Return the name of the pod in which a node's container runs; "" when there is none.

        Raises:
            ClientError: the cluster can't be asked.
        """
        chosen = f"{pods.JOB_LABEL}={job},{pods.BACKEND_LABEL}={self.backend}"
        found = [
            each
            for each in self._ask("get", "pods", "--selector", chosen)["items"]
            if each["metadata"]["labels"].get(pods.NODE_LABEL, "").endswith(f".{host}")
            and "running" in _main_state(each)
        ]
        # Of an attempt that was lost one may still be there, on a machine that is silent.
        newest = max(found, key=lambda each: each["metadata"]["creationTimestamp"], default=None)
        return str(newest["metadata"]["name"]) if newest else ""

    def exit_code(self, pod: str) -> int | None:
        """Return how the container of a pod ended; None while it runs, or when the pod is gone.

        Raises:
            ClientError: the cluster can't be asked.
        """
        found = self._ask("get", "pod", pod, "--ignore-not-found")
        code = _main_state(found).get("terminated", {}).get("exitCode")
        return None if code is None else int(code)

    def _ask(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        asked = self.words(*words, "--output", "json")
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise ClientError(f"kubectl: {said}", "trainshed backend ls")
        return json.loads(done.stdout or "{}")


def pod_command(server: Server, tags: Mapping[str, str]) -> PodCommand | None:
    """Return the command for the cluster that a job runs on; None where it runs on none.

    Args:
        server: the job's.
        tags: the job's.

    Raises:
        ClientError: kubectl is not on this machine.
        SettingsError: the server's settings can't be read.
    """
    backend = tags.get(names.BACKEND_TAG) or server.backend
    if server.backends.get(backend) != "sibling":
        return None
    # What reads settings takes longer to import than all else here.
    told = import_module("trainshed.app.settings").load(server.config).backends.further[backend]
    program = shutil.which("kubectl")
    if program is None:
        raise ClientError(
            f"kubectl is not on PATH, and it connects the terminal to pods of {backend}",
            "install it: https://kubernetes.io/docs/tasks/tools",
        )
    chosen = {name: getattr(told.options, name) for name in ("kubeconfig", "context", "namespace")}
    options = [f"--{name}={value}" for name, value in chosen.items() if value]
    return PodCommand(program=program, backend=backend, options=options)


def terminal_options(*, interactive: bool, tty: bool) -> Sequence[str]:
    """Return the options of ``kubectl exec`` for stdin and a terminal."""
    return (["--stdin"] if interactive else []) + (["--tty"] if tty else [])


def _main_state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state of the job's own container: one member, ``running`` for example."""
    told = pod.get("status", {}).get("containerStatuses") or ()
    return next((each["state"] for each in told if each["name"] == pods.MAIN), {})
