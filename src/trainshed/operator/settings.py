"""What an operator can be told: on its command line, and in its environment."""

import argparse
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LEASE: Final = "sagemaker-k8s-operator-controller-manager"
_EPILOG: Final = """\
environment:
  AWS_DEFAULT_SAGEMAKER_ENDPOINT  as --sagemaker-endpoint
  POD_NAME, POD_NAMESPACE         who this is, and where its lease is
  KUBECONFIG                      the cluster, when this is no pod
  AWS_*                           credentials, as every AWS program finds them
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator is told."""

    namespaces: tuple[str, ...] = ()
    """Whose objects are dealt with; all when there are none."""
    endpoint: str = ""
    """Where SageMaker's API answers for objects that do not say; "" for Amazon's."""
    metrics: str = ":8080"
    """``host:port`` for Prometheus; "" for nowhere. All interfaces without a host."""
    probes: str = ":8081"
    """``host:port`` for probes; "" for nowhere."""
    lease: str = ""
    """The Lease that says who of several works; "" when there is one only."""
    lease_namespace: str = "default"
    me: str = ""
    """No other operator's name."""
    workers: int = 10
    """Objects that are worked on at once."""
    poll: timedelta = timedelta(seconds=5)
    """How often jobs are listed where a service does not tell of changes. The first operator asked
    for each object as often."""
    resync: timedelta = timedelta(minutes=10)
    """How often every object is looked at that still waits for something: the net below the
    watches."""
    deletion_timeout: timedelta = timedelta(minutes=10)
    """How long the deletion of an object may wait for its job to end. The service gives a program
    2 minutes to stop, and uploads follow."""
    log_format: str = "text"
    log_level: str = "info"


def read(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Settings:
    """Return what a command line and the environment say.

    Exits with 2 and a usage line when the command line is wrong.
    """
    env = os.environ if environment is None else environment
    asked = _parser(env).parse_args(arguments)
    lease = asked.leader_election or (_LEASE if asked.enable_leader_election else "")
    return Settings(
        namespaces=tuple(n for each in asked.namespace for n in re.split(r"[,\s]+", each) if n),
        endpoint=asked.sagemaker_endpoint,
        metrics=_address(asked.metrics_addr),
        probes=_address(asked.health_addr),
        lease=lease,
        lease_namespace=asked.leader_election_namespace or _own_namespace(env),
        me=env.get("POD_NAME") or f"{socket.gethostname()}-{secrets.token_hex(4)}",
        workers=asked.workers,
        poll=timedelta(seconds=asked.poll_seconds),
        resync=timedelta(seconds=asked.resync_seconds),
        deletion_timeout=timedelta(seconds=asked.deletion_timeout_seconds),
        log_format=asked.log_format,
        log_level=asked.log_level,
    )


def _parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    usual = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m trainshed.operator",
        description="Runs manifests of sagemaker.aws.amazon.com/v1.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--namespace", action="append", default=[], metavar="NAME[,…]", help="all without")
    add(
        "--sagemaker-endpoint",
        default=env.get("AWS_DEFAULT_SAGEMAKER_ENDPOINT", ""),
        metavar="URL",
        help="for objects without spec.sageMakerEndpoint; Amazon's without",
    )
    add("--metrics-addr", default=usual.metrics, metavar="HOST:PORT", help="default :8080")
    add("--health-addr", default=usual.probes, metavar="HOST:PORT", help="default :8081")
    add("--leader-election", default="", metavar="LEASE", help="the Lease that says who works")
    add("--enable-leader-election", nargs="?", const=True, default=False, type=_truth)
    add("--leader-election-namespace", default="", metavar="NAME", help="the pod's own without")
    add("--workers", type=int, default=usual.workers, metavar="N")
    add("--poll-seconds", type=float, default=usual.poll.total_seconds(), metavar="S")
    add("--resync-seconds", type=float, default=usual.resync.total_seconds(), metavar="S")
    add(
        "--deletion-timeout-seconds",
        type=float,
        default=usual.deletion_timeout.total_seconds(),
        metavar="S",
        help="how long a deletion waits for its job to end; default 600",
    )
    add("--log-format", choices=("text", "json"), default=usual.log_format)
    add("--log-level", choices=("debug", "info", "warning", "error"), default=usual.log_level)
    return parser


def _truth(text: str) -> bool:
    """Read a flag as the first operator's were written: ``--enable-leader-election=true``."""
    if text.lower() not in {"true", "false"}:
        raise argparse.ArgumentTypeError(f"true or false, not {text!r}")
    return text.lower() == "true"


def _address(text: str) -> str:
    """Return an address, "" for "0", which turns a server off."""
    return "" if text in {"", "0"} else text


def _own_namespace(env: Mapping[str, str]) -> str:
    if named := env.get("POD_NAMESPACE"):
        return named
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "default"
