"""What tests on a cluster share: the cluster, a namespace for each module, a server beside it.

Without a cluster they fail: nothing here is skipped.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.kubernetes import images
from tests.kubernetes.cluster import (
    CannotTest,
    Cluster,
    check_images,
    host_address,
    own_namespace,
    wait_until_gone,
)
from tests.kubernetes.cluster import reach as reached
from tests.kubernetes.release import Release, released
from tests.kubernetes.shed import PodShed, shed_of_pods

ROOT = Path(__file__).parents[2]
PLUGIN = "from trainshed.cli.smlogs import main; raise SystemExit(main())"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Bear what httpcore2 leaves to the garbage collector.

    Whoever is cancelled in a TLS handshake, such as a driver that is closed while it connects
    anew, leaves a socket open until it is collected: ``start_tls`` of its anyio backend closes
    it after an ``Exception``, which a cancellation is not.
    """
    if item.path.is_relative_to(Path(__file__).parent):
        item.add_marker(
            pytest.mark.filterwarnings("ignore:unclosed (transport|<socket):ResourceWarning")
        )


@contextmanager
def needed() -> Iterator[None]:
    """Fail with what is missing."""
    try:
        yield
    except CannotTest as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster of KUBECONFIG; its nodes have the images of ``images``."""
    with needed():
        found = reached(os.environ)
        check_images(images.ALL)
        return found


@pytest.fixture(scope="session")
def host() -> str:
    """Where pods reach programs of this machine. Those that listen there must be asked to."""
    with needed():
        return host_address(os.environ)


@pytest.fixture(scope="session")
def going() -> Iterator[list[Cluster]]:
    """Namespaces that were deleted. In the end all are gone; no module waits for another's."""
    found: list[Cluster] = []
    yield found
    for each in found:
        wait_until_gone(each)


@pytest.fixture(scope="module")
def namespace(
    cluster: Cluster, going: list[Cluster], request: pytest.FixtureRequest
) -> Iterator[Cluster]:
    """The cluster in a namespace of the module's own, which goes with all that is in it."""
    module = request.module.__name__.rpartition(".")[2]
    prefix = module.removeprefix("test_").replace("_", "-")[:40]
    with own_namespace(cluster, prefix, going) as found:
        yield found


@pytest.fixture(scope="session")
def clients() -> Path:
    """A folder with ``helm``, and with a ``kubectl`` of today."""
    found = subprocess.run(
        [ROOT / "tools" / "cluster-clients"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.fail(f"tools/cluster-clients: {found.stderr.strip()}", pytrace=False)
    return Path(found.stdout.strip())


@pytest.fixture(scope="session")
def helm(clients: Path) -> Path:
    return clients / "helm"


@pytest.fixture(params=["of Debian", "of today"])
def kubectl(request: pytest.FixtureRequest, namespace: Cluster, clients: Path) -> Cluster:
    """The module's namespace, as an old and as a new kubectl shows it."""
    return namespace if request.param == "of Debian" else namespace.by(clients / "kubectl")


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``kubectl-smlogs``: on PATH, ``kubectl smlogs`` is there."""
    folder = tmp_path_factory.mktemp("plugin")
    program = folder / "kubectl-smlogs"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{PLUGIN}' \"$@\"\n")
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    """The eight kinds, as they are in deploy/crds; nobody takes them away."""
    cluster.apply(ROOT / "deploy" / "crds")
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


@pytest.fixture(scope="module")
def shed(
    namespace: Cluster, host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PodShed]:
    """A server of this machine whose jobs are pods of the module's namespace."""
    with shed_of_pods(namespace, tmp_path_factory.mktemp("shed"), host) as found:
        yield found


@pytest.fixture(scope="module")
def release(namespace: Cluster, helm: Path, crds: None) -> Iterator[Release]:
    """Operator and server in the module's namespace, by the chart; the server's jobs are pods."""
    with released(helm, namespace, {"server": {"enabled": True}}) as found:
        yield found
