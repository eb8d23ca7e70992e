"""An operator of this machine, before a server of this machine, for the objects of a namespace."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.journeys.shed import Shed
from tests.kubernetes.cluster import Cluster, until
from tests.kubernetes.manifests import KIND

from trainshed.testing.faults.plan import Plan
from trainshed.testing.operator.process import OperatorProcess
from trainshed.testing.server import Server

SETTINGS = """
[backends.local]
max_nodes = 16
stop_seconds = 2
[backends.local.images]
"*mnist-demo*" = "python"
"*tensorflow-training*" = "/usr/bin/python3"  # which has Debian's mpi4py
"python" = "python"
"""
END = 60.0


class Operated:
    """What a test of the operator needs at hand."""

    def __init__(self, cluster: Cluster, shed: Shed, operator: OperatorProcess) -> None:
        self.cluster = cluster
        """In the namespace that the operator works for."""
        self.shed = shed
        self.operator = operator

    def apply(self, *things: Mapping[str, Any]) -> None:
        self.cluster.apply(*things)

    def get(self, name: str, kind: str = KIND) -> dict[str, Any]:
        return self.cluster.get(kind, name)

    def status(self, name: str, kind: str = KIND) -> dict[str, Any]:
        status: dict[str, Any] = self.get(name, kind).get("status", {})
        return status

    def truths(self, name: str, kind: str = KIND) -> dict[str, str]:
        """Return the reason of each condition that is true."""
        return {
            each["type"]: each["reason"]
            for each in self.status(name, kind).get("conditions", ())
            if each["status"] == "True"
        }

    def message(self, name: str, condition: str, kind: str = KIND) -> str:
        """Return what a condition says, once it says something that is no mere word."""
        for each in self.status(name, kind).get("conditions", ()):
            if each["type"] == condition:
                return str(each["message"])
        return ""

    def wait(self, name: str, condition: str, kind: str = KIND) -> None:
        """Wait as people do: by ``kubectl wait``."""
        waiting = f"--for=condition={condition}"
        asked = self.cluster.attempt("wait", waiting, f"{kind}/{name}", f"--timeout={END:.0f}s")
        assert asked.returncode == 0, (asked.stderr, self.status(name, kind), self.operator.said())

    def until_stalled(self, name: str, reason: str, kind: str = KIND) -> str:
        """Return what an object says that it stalled for."""
        until(
            f"{name} stalls: {reason}",
            lambda: self.truths(name, kind).get("Stalled") == reason,
            END,
        )
        return self.message(name, "Stalled", kind)

    def delete(self, name: str, kind: str = KIND) -> None:
        self.cluster.kubectl("delete", kind, name, f"--timeout={END:.0f}s")

    def events(self, name: str, reason: str) -> list[dict[str, Any]]:
        """Return an object's Events of a reason, once there are any."""
        chosen = f"involvedObject.name={name},reason={reason}"
        return until(
            f"an Event {reason} of {name}",
            lambda: self.cluster.find("events", "--field-selector", chosen),
            END,
        )


@contextmanager
def operated(
    namespace: Cluster,
    folder: Path,
    *further: str,
    plan: Plan | None = None,
) -> Iterator[Operated]:
    """Yield an operator for a namespace, which dies by ``plan``."""
    with ExitStack() as stack:
        server = stack.enter_context(Server(folder / "data", SETTINGS))
        shed = Shed(server, folder)
        access_key, secret_key = server.keys
        environment = namespace.environment(
            AWS_DEFAULT_SAGEMAKER_ENDPOINT=server.url,
            AWS_ACCESS_KEY_ID=access_key,
            AWS_SECRET_ACCESS_KEY=secret_key,
        )
        arguments = ("--namespace", namespace.namespace, *further)
        operator = OperatorProcess(folder, arguments, environment, plan)
        stack.enter_context(operator)
        stack.callback(_clean, namespace)
        yield Operated(namespace, shed, operator)


def _clean(namespace: Cluster) -> None:
    """Have no object hold the namespace up once there is no operator any more."""
    if namespace.attempt("delete", KIND, "--all", f"--timeout={END:.0f}s").returncode:
        for thing in namespace.find(KIND):
            name = thing["metadata"]["name"]
            free = '{"metadata":{"finalizers":null}}'
            namespace.attempt("patch", KIND, name, "--type=merge", "-p", free)
