"""Runs the agents of pods on a played cluster, reporting to a server in this process."""

import datetime
import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trainshed.domain.facts import Fact, Kind
from trainshed.testing.plans import node_plan
from trainshed.testing.played_cluster import PlayedCluster
from trainshed.testing.played_pod import PlayedPod
from trainshed.testing.reports import Reports

MakeSpot = Callable[..., "Spot"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "played")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "cluster.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def reports() -> Iterator[Reports]:
    server = Reports()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cluster(certificate: Path) -> Iterator[PlayedCluster]:
    with PlayedCluster(certificate) as played:
        yield played


class Spot(PlayedPod):
    """A pod, and what the server hears of it."""

    reports: Reports

    def kinds(self) -> list[str]:
        return [fact.kind.value for fact in self.reports.facts(self.plan.node_id)]

    def fact(self, kind: Kind) -> Fact | None:
        return self.reports.fact(self.plan.node_id, kind)

    def lines(self) -> list[str]:
        return self.reports.lines(self.plan.node_id)

    def wait_for_line(self, text: str) -> None:
        self.reports.wait_for(lambda: text in self.lines())

    def wait_for(self, kind: Kind) -> None:
        self.reports.wait_for(lambda: self.fact(kind))

    def ended(self) -> tuple[str, str]:
        fact = self.fact(Kind.ENDED)
        assert fact is not None, self.said()
        return fact.detail["outcome"], fact.detail["reason"]


@pytest.fixture
def spot(
    tmp_path: Path, reports: Reports, cluster: PlayedCluster, certificate: Path
) -> Iterator[MakeSpot]:
    """Return a maker of pods of which nothing has been started; all are gone after the test."""
    made: list[Spot] = []

    def make(**changes: Any) -> Spot:
        plan = node_plan(
            tmp_path, server_url=reports.url, token=reports.token, runtime="sibling", **changes
        )
        pod = Spot(tmp_path / f"pod-{len(made)}", plan, cluster, certificate, os.environ)
        pod.reports = reports
        made.append(pod)
        return pod

    yield make
    for each in made:
        each.close()
