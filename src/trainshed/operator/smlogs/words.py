"""What is typed: ``kubectl smlogs KIND NAME``, with kubectl's own options and some for the log.

Options are read as kubectl reads them: anywhere in the line, ``--follow=false`` for a switch.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from trainshed.operator.smlogs.subjects import Mistyped, Subject, called

USAGE: Final = "kubectl smlogs KIND NAME [options]"
_PIECE: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|d|h|m|s)")
_SECONDS: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
}
_TRUE: Final = frozenset({"1", "t", "true"})
_FALSE: Final = frozenset({"0", "f", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed about the cluster; "" for what was not."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    user: str = ""
    namespace: str = ""
    server: str = ""
    token: str = ""
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = ""
    insecure: bool = False
    tls_server_name: str = ""
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command line, read."""

    subject: Subject
    name: str
    follow: bool
    hosts: str
    shows_stream: bool
    shows_time: bool
    since: int | None
    """Milliseconds since the epoch."""
    tail: int | None
    last_attempt: bool
    place: Typed
    timeout: float | None
    """Seconds one request to the API server may take; None for the usual."""
    server_namespace: str
    """Where the server's Secret and the pods are looked for, too."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Mistyped(message, "kubectl smlogs --help")


def read(words: Sequence[str], now: datetime) -> Asked:
    """Return what was typed.

    Raises:
        Mistyped: it makes no sense, or the kind has no log.
        SystemExit: help was asked for, and printed.
    """
    parser, switches = _parser()
    typed = parser.parse_intermixed_args(_switched(words, switches))
    kind, name = _named(typed.what)
    return Asked(
        subject=called(kind),
        name=name,
        follow=typed.follow,
        hosts=typed.logSearchPrefix,
        shows_stream=not typed.hide_log_stream_name,
        shows_time=typed.timestamps,
        since=_start(typed.since, typed.since_time, now),
        tail=None if typed.tail < 0 else typed.tail,
        last_attempt=typed.last_attempt,
        place=Typed(
            kubeconfig=typed.kubeconfig,
            context=typed.context,
            cluster=typed.cluster,
            user=typed.user,
            namespace=typed.namespace,
            server=typed.server,
            token=typed.token,
            certificate_authority=typed.certificate_authority,
            client_certificate=typed.client_certificate,
            client_key=typed.client_key,
            insecure=typed.insecure_skip_tls_verify,
            tls_server_name=typed.tls_server_name,
            impersonate=typed.impersonate,
            impersonate_groups=tuple(typed.impersonate_groups),
        ),
        timeout=_timeout(typed.request_timeout),
        server_namespace=typed.server_namespace,
    )


def duration(text: str) -> timedelta:
    """Return ``10m``, ``1h30m``, ``1.5h``, ``300ms``, ``2d``.

    Raises:
        Mistyped: it is none.
    """
    pieces = _PIECE.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise Mistyped(f"{text!r} is no duration like 30s, 10m or 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in pieces)
    if not 0 <= seconds < 1e10:
        raise Mistyped(f"{text!r} is longer than logs are old")
    return timedelta(seconds=seconds)


def moment(text: str) -> datetime:
    """Return an RFC 3339 time such as ``2026-01-01T12:00:00Z``.

    Raises:
        Mistyped: it is none, or says no zone.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Mistyped(f"{text!r} is no time like 2026-01-01T12:00:00Z") from error
    if found.tzinfo is None:
        raise Mistyped(f"{text!r} says no zone; write {text}Z for UTC")
    return found.astimezone(UTC)


def _start(since: str, since_time: str, now: datetime) -> int | None:
    if since and since_time:
        raise Mistyped("only one of --since and --since-time may be given")
    if since == "0" or not (since or since_time):
        return None
    begins = now - duration(since) if since else moment(since_time)
    return max(0, int(begins.timestamp() * 1000))


def _timeout(text: str) -> float | None:
    """Return seconds; kubectl takes plain ones too, and 0 for none."""
    if text in {"", "0"}:
        return None
    return float(text) if text.isdigit() else duration(text).total_seconds()


def _named(words: Sequence[str]) -> tuple[str, str]:
    """Return kind and name; they may be typed as ``kind/name``."""
    if len(words) == 1 and "/" in words[0]:
        kind, _, name = words[0].partition("/")
        words = [kind, name]
    if len(words) == 1:
        called(words[0])
        raise Mistyped(f"the name is missing: {USAGE}", f"kubectl get {words[0]}")
    if len(words) != 2 or not words[1]:
        found = " ".join(words) or "nothing"
        raise Mistyped(f"one kind and one name are needed, found: {found}", USAGE)
    return words[0], words[1]


def _switched(words: Sequence[str], switches: dict[str, str]) -> list[str]:
    """Return the words with each ``--switch=true|false`` as a word that argparse knows."""
    found: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return [*found, *words[index:]]
        name, sign, value = word.partition("=")
        if not sign or name not in switches:
            found.append(word)
        elif value.lower() in _TRUE:
            found.append(name)
        elif value.lower() in _FALSE:
            found.append(switches[name])
        else:
            raise Mistyped(f"{word}: {value!r} is neither true nor false")
    return found


def _parser() -> tuple[_Parser, dict[str, str]]:
    """Return the parser, and what says no to each of its switches."""
    parser = _Parser(
        prog="kubectl smlogs",
        usage=USAGE,
        description="Show what the nodes of a job wrote. KIND is TrainingJob, BatchTransformJob or "
        "ProcessingJob, in any spelling.",
        epilog="kubectl smlogs trainingjob digits -f --tail 20",
        allow_abbrev=False,
    )
    parser.add_argument("what", nargs="*", metavar="KIND NAME", help=argparse.SUPPRESS)
    switches: dict[str, str] = {}
    log = parser.add_argument_group("the log")
    cluster = parser.add_argument_group("the cluster, as for kubectl")

    def switch(*names: str, default: bool = False, **how: Any) -> None:  # noqa: ANN401
        target = names[-1].strip("-").replace("-", "_")
        no = f"--no-{names[-1].strip('-')}"
        group = how.pop("group", log)
        group.add_argument(*names, dest=target, action="store_true", default=default, **how)
        parser.add_argument(no, dest=target, action="store_false", help=argparse.SUPPRESS)
        switches.update(dict.fromkeys(names, no))

    _add_log(log, switch)
    _add_cluster(cluster)
    switch(
        "--insecure-skip-tls-verify",
        group=cluster,
        help="believe the API server without its certificate",
    )
    return parser, switches


def _add_log(log: Any, switch: Any) -> None:  # noqa: ANN401
    switch("-f", "--follow", help="go on until the job ends, and end as it did")
    log.add_argument(
        "-p",
        "--logSearchPrefix",
        metavar="HOST",
        default="",
        help="only hosts whose name begins so, such as algo-4",
    )
    log.add_argument("--since", metavar="10m", default="", help="only the last 10m, 2h, ...")
    log.add_argument(
        "--since-time", metavar="TIME", default="", help="only from a time on (RFC 3339)"
    )
    log.add_argument(
        "--tail", type=int, metavar="N", default=-1, help="only the last N lines of all nodes"
    )
    switch("--last-attempt", help="only what the last attempt wrote")
    switch("--timestamps", default=True, help="begin lines with their time; =false: don't")
    switch("--hide-log-stream-name", help="don't begin lines with the name of their stream")
    log.add_argument(
        "--server-namespace",
        metavar="NS",
        default="",
        help="where the Secret trainshed-logs, or the job's pods, are",
    )


def _add_cluster(cluster: Any) -> None:  # noqa: ANN401
    for names, metavar, text in (
        (("-n", "--namespace"), "NS", "where the object is; by default the context's"),
        (("--context",), "NAME", "which context of the kubeconfig"),
        (("--kubeconfig",), "FILE", "instead of KUBECONFIG and ~/.kube/config"),
        (("--cluster",), "NAME", "another cluster of the kubeconfig"),
        (("--user",), "NAME", "another user of the kubeconfig"),
        (("-s", "--server"), "URL", "the API server"),
        (("--token",), "TOKEN", "a bearer token"),
        (("--certificate-authority",), "FILE", "who vouches for the API server"),
        (("--client-certificate",), "FILE", "who asks"),
        (("--client-key",), "FILE", "its key"),
        (("--tls-server-name",), "NAME", "whom the API server's certificate is for"),
        (("--request-timeout",), "10s", "how long one request may take"),
    ):
        cluster.add_argument(*names, metavar=metavar, default="", help=text)
    cluster.add_argument("--as", dest="impersonate", metavar="USER", default="", help="as another")
    cluster.add_argument(
        "--as-group",
        dest="impersonate_groups",
        metavar="GROUP",
        action="append",
        default=[],
        help="in that group; may be repeated",
    )
    cluster.add_argument("--cache-dir", default="", help=argparse.SUPPRESS)  # nothing is cached
