"""The cluster that tests run on, as kubectl shows it, and a namespace of one's own in it."""

import json
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

PATIENCE = 90.0
"""Seconds until something that a test waits for must have come."""
_STEP = 0.5

T = TypeVar("T")


class CannotTest(Exception):
    """There is no cluster, or something that tests on it need; the message says what to do."""


@dataclass(frozen=True)
class Said:
    """What a program said."""

    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Programs that talk to one cluster, in one namespace of it."""

    kubeconfig: str
    """As KUBECONFIG has it."""
    namespace: str = "default"
    program: str = "kubectl"
    """Which kubectl."""

    def within(self, namespace: str) -> "Cluster":
        """Return the same cluster, for another namespace."""
        return replace(self, namespace=namespace)

    def by(self, program: Path) -> "Cluster":
        """Return the same cluster, as another kubectl shows it."""
        return replace(self, program=str(program))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment for any program that is to talk to the cluster."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig, **more}

    def command(self, *words: str) -> list[str]:
        """Return a kubectl command for the namespace."""
        return [self.program, "--namespace", self.namespace, *words]

    def kubectl(
        self, *words: str, typed: str | None = None, code: int = 0, timeout: float = PATIENCE
    ) -> Said:
        """Carry out a kubectl command that ends with this code; ``typed`` is piped into it."""
        ran = self.attempt(*words, typed=typed, timeout=timeout)
        said = Said(ran.stdout, ran.stderr)
        assert ran.returncode == code, (words, ran.returncode, said)
        return said

    def attempt(
        self, *words: str, typed: str | None = None, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Carry out a kubectl command, however it ends."""
        return subprocess.run(
            self.command(*words),
            input=typed,
            stdin=subprocess.DEVNULL if typed is None else None,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=timeout,
            check=False,
        )

    def apply(self, *manifests: Mapping[str, Any] | str | Path) -> Said:
        """Have the cluster hold these manifests: objects, YAML, or files of it."""
        said = [self._applied(each) for each in manifests]
        return Said("".join(each.out for each in said), "".join(each.err for each in said))

    def _applied(self, manifest: Mapping[str, Any] | str | Path) -> Said:
        if isinstance(manifest, Path):
            return self.kubectl("apply", "-f", str(manifest))
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.kubectl("apply", "-f", "-", typed=text)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object that is there."""
        found: dict[str, Any] = self.kubectl("get", kind, name, "-o", "json").json()
        return found

    def find(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """Return the objects of a kind; ``words`` may select some."""
        found: list[dict[str, Any]] = self.kubectl("get", kind, *words, "-o", "json").json()[
            "items"
        ]
        return found


def until(what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Return what ``look`` finds once it finds something that is true.

    Raises:
        AssertionError: it does not, for so many seconds.
    """
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain: {what}"
        pause.wait(_STEP)


def reach(environment: Mapping[str, str]) -> Cluster:
    """Return the cluster that KUBECONFIG names, once it has answered.

    Raises:
        CannotTest: none is named, or it does not answer.
    """
    named = environment.get("KUBECONFIG", "")
    if not named:
        raise CannotTest(
            "these tests need a Kubernetes cluster of 1.20 or newer: name it in KUBECONFIG. "
            "Its nodes need the images that tools/k8s-images makes, and must reach this machine."
        )
    if shutil.which("kubectl") is None:
        raise CannotTest("kubectl is not installed; on Debian: apt-get install kubernetes-client")
    cluster = Cluster(kubeconfig=named)
    try:
        asked = cluster.attempt("get", "--raw", "/readyz", timeout=20)
    except subprocess.TimeoutExpired as error:
        raise CannotTest(f"the cluster of KUBECONFIG={named} does not answer") from error
    if asked.returncode:
        raise CannotTest(f"the cluster of KUBECONFIG={named} is not ready: {asked.stderr.strip()}")
    return cluster


@contextmanager
def own_namespace(
    cluster: Cluster, prefix: str, going: list[Cluster] | None = None
) -> Iterator[Cluster]:
    """Yield the cluster with a new namespace, which goes afterwards with all that is in it.

    Args:
        cluster: where.
        prefix: what its name begins with.
        going: is given those that are not gone yet; whoever has it waits for them in the end.

    Raises:
        AssertionError: it does not go; the message says what holds it.
    """
    name = f"{prefix}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    inside = cluster.within(name)
    try:
        until(
            f"the service account of {name}",
            lambda: inside.attempt("get", "serviceaccount", "default").returncode == 0,
        )
        yield inside
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")
        if going is None:
            wait_until_gone(inside)
        else:
            _clear_of_pods(inside)
            going.append(inside)


def wait_until_gone(inside: Cluster) -> None:
    """Return once a namespace that was deleted is gone with all that was in it.

    Raises:
        AssertionError: it does not go; the message says what holds it.
    """
    _clear_of_pods(inside)
    name = inside.namespace
    try:
        until(f"{name} goes", lambda: inside.attempt("get", "namespace", name).returncode != 0, 60)
    except AssertionError as error:
        held = inside.get("namespace", name)["status"].get("conditions", [])
        said = "; ".join(each["message"] for each in held if each["status"] == "True")
        raise AssertionError(f"the namespace {name} does not go: {said}") from error


def _clear_of_pods(inside: Cluster) -> None:
    # An old kubelet takes up to a minute to say that it has cleared away: nobody waits for it.
    inside.attempt("delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")


def host_address(environment: Mapping[str, str]) -> str:
    """Return where pods reach programs of this machine: docker0's address, or what is told.

    Raises:
        CannotTest: there is no such network.
    """
    if told := environment.get("TRAINSHED_TEST_HOST", ""):
        return told
    shown = subprocess.run(
        ["ip", "-4", "-o", "addr", "show", "docker0"], capture_output=True, text=True, check=False
    )
    found = re.search(r"inet ([0-9.]+)", shown.stdout)
    if found is None:
        raise CannotTest(
            "where do pods reach this machine? There is no network docker0; set "
            "TRAINSHED_TEST_HOST to an address of it."
        )
    return found[1]


def check_images(names: Sequence[str]) -> None:
    """See that the engine of this machine's cluster has images.

    Raises:
        CannotTest: it lacks some.
    """
    asked = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Id}}", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise CannotTest(f"images are missing; run tools/k8s-images: {asked.stderr.strip()}")
