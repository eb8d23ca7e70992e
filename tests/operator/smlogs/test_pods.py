"""Lines out of pods: each once, whatever breaks off in between."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.client.errors import ServerUnreachable
from trainshed.domain import pods
from trainshed.operator.smlogs.cluster import Cluster, split
from trainshed.operator.smlogs.lines import Line
from trainshed.operator.smlogs.pods import PodLogs, timed
from trainshed.operator.smlogs.source import UnknownThere, Wanted
from trainshed.testing.api_server import ApiServer, path_of

JOB = "digits"
NOON = 1_767_268_800_000


def stamp(ns: int) -> str:
    """Return so many nanoseconds after noon, as the kubelet writes it."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"2026-01-01T12:{seconds // 60:02}:{seconds % 60:02}.{rest:09}Z"


def pod(api: ApiServer, host: str, attempt: int = 1, name: str = "") -> list[tuple[str, str]]:
    """Have a node's pod run, and return its lines: they may be added to."""
    name = name or f"{host}-{attempt}"
    labels = {
        pods.JOB_LABEL: JOB,
        pods.NODE_LABEL: f"0123456789ab.{attempt}.{host}",
        pods.ATTEMPT_LABEL: f"0123456789ab.{attempt}",
    }
    began = {"creationTimestamp": f"2026-01-01T12:00:{attempt:02}Z"}
    api.put("pods", "lab", name, metadata={"labels": labels, **began})
    lines: list[tuple[str, str]] = []
    api.logs[path_of("pods", "lab", name)] = lines
    return lines


def source(cluster: Cluster, **wanted: Any) -> PodLogs:
    return PodLogs(cluster=cluster, namespace="lab", wanted=Wanted(job=JOB, **wanted))


def texts(found: PodLogs) -> list[str]:
    return [line.text for line in found.look()]


def test_all_nodes_are_told_by_time(api: ApiServer, cluster: Cluster) -> None:
    one, two = pod(api, "algo-1"), pod(api, "algo-2")
    one += [(stamp(1_500_000), "a"), (stamp(3_000_000), "c")]
    two += [(stamp(2_000_000), "b")]
    found = source(cluster)
    assert list(found.look()) == [
        Line(f"{JOB}/algo-1-{NOON + 1000}", NOON + 1, "a"),
        Line(f"{JOB}/algo-2-{NOON + 1000}", NOON + 2, "b"),
        Line(f"{JOB}/algo-1-{NOON + 1000}", NOON + 3, "c"),
    ]
    two.append((stamp(2_000_001), "late"))
    assert texts(found) == ["late"]


def test_the_users_container_is_asked_for(api: ApiServer, cluster: Cluster) -> None:
    pod(api, "algo-1")
    texts(source(cluster))
    assert "/api/v1/namespaces/lab/pods/algo-1-1/log" in {path for _, path, _ in api.asked}


def test_a_container_that_waits_has_no_lines_yet(api: ApiServer, cluster: Cluster) -> None:
    lines = pod(api, "algo-1")
    path = path_of("pods", "lab", "algo-1-1")
    api.logs[path] = None
    found = source(cluster)
    found.check()
    assert texts(found) == []
    lines.append((stamp(5), "begun"))
    api.logs[path] = lines
    assert texts(found) == ["begun"]


def test_a_pod_that_is_gone_takes_nothing_with_it_but_its_own_lines(
    api: ApiServer, cluster: Cluster
) -> None:
    pod(api, "algo-1").append((stamp(1), "first"))
    found = source(cluster)
    assert texts(found) == ["first"]
    del api.objects[path_of("pods", "lab", "algo-1-1")]
    pod(api, "algo-1", attempt=2).append((stamp(9), "second"))
    assert texts(found) == ["second"]


def test_a_job_without_pods_is_told_so(api: ApiServer, cluster: Cluster) -> None:
    with pytest.raises(UnknownThere, match=r"none is labelled trainshed\.dev/job=digits"):
        source(cluster).check()


def test_a_tail_and_a_beginning_and_a_host_are_kept_to(api: ApiServer, cluster: Cluster) -> None:
    one, two = pod(api, "algo-1"), pod(api, "algo-2")
    one += [(stamp(at * 1_000_000), f"1.{at}") for at in range(0, 10, 2)]
    two += [(stamp(at * 1_000_000), f"2.{at}") for at in range(1, 10, 2)]
    assert texts(source(cluster, tail=3)) == ["2.7", "1.8", "2.9"]
    assert texts(source(cluster, tail=0)) == []
    assert texts(source(cluster, since=NOON + 8)) == ["1.8", "2.9"]
    assert texts(source(cluster, hosts="algo-2", tail=1)) == ["2.9"]


def test_only_the_last_attempt_is_told_where_that_was_asked(
    api: ApiServer, cluster: Cluster
) -> None:
    pod(api, "algo-1").append((stamp(1), "first"))
    pod(api, "algo-1", attempt=2).append((stamp(2), "second"))
    # A Job that lost its pod makes another one, which finds its node taken and writes nothing.
    pod(api, "algo-1", attempt=2, name="another")
    assert texts(source(cluster, last_attempt=True)) == ["second"]


def test_a_line_without_a_time_is_the_kubelets_own_and_comes_where_it_stands() -> None:
    assert timed("2026-01-01T12:00:00.5Z a b", 0) == (NOON * 1_000_000 + 500_000_000, "a b")
    assert timed("2026-01-01T14:00:00+02:00 ", 0) == (NOON * 1_000_000, "")
    assert timed("unable to retrieve container logs", 7) == (7, "unable to retrieve container logs")


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_lines_end_at_line_feeds_alone(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    wanted = whole.split(b"\n")
    assert list(split(iter(chunks))) == (wanted if wanted[-1] else wanted[:-1])


class Near:
    """``pods.Reads`` of an API server without a way to it."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.breaks_after: int | None = None
        """Lines until the next answer breaks off."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return dict(json.loads(self.api.answer("GET", path, dict(params or {}))[1]))

    def lines(self, path: str, params: Mapping[str, str]) -> Iterator[bytes]:
        for count, line in enumerate(self.api.answer("GET", path, dict(params))[1].splitlines()):
            if count == self.breaks_after:
                self.breaks_after = None
                raise ServerUnreachable("it went away")
            yield line


script = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 10**9]), st.integers(0, 4)))


@given(script)
def test_every_line_is_told_once_however_looks_break_off(steps: list[tuple[int, int, int]]) -> None:
    api = ApiServer()
    lines = pod(api, "algo-1")
    found = PodLogs(cluster=Near(api), namespace="lab", wanted=Wanted(job=JOB))
    told, now = list[str](), 0
    for written, later, taken in steps:
        for _ in range(written):
            now += later
            lines.append((stamp(now), f"{len(lines)}"))
        told += [line.text for line in islice(found.look(), taken)]
    told += texts(found)
    assert told == [text for _, text in lines]


@given(st.integers(0, 4), st.integers(0, 6))
def test_a_tail_that_broke_off_is_told_at_the_next_look(breaks: int, count: int) -> None:
    api = ApiServer()
    pod(api, "algo-1").extend((stamp(n), f"{n}") for n in range(5))
    cluster = Near(api)
    cluster.breaks_after = breaks
    found = PodLogs(cluster=cluster, namespace="lab", wanted=Wanted(job=JOB, tail=count))
    try:
        told = texts(found)
    except ServerUnreachable:
        told = texts(found)
    assert told == [f"{n}" for n in range(5)][5 - min(count, 5) :]
