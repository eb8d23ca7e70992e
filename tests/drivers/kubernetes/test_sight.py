"""What is seen of a node: from the words of real clusters to a state and a sentence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightkube.resources.batch_v1 import Job
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import Event, Pod
from msgspec import convert

from trainshed.domain import pods
from trainshed.drivers.base import NodeState, Sight
from trainshed.drivers.kubernetes.options import KubernetesBackend
from trainshed.drivers.kubernetes.sight import STOPPED, Look, Traces, look

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPTIONS = convert(
    {"server_url": "http://10.0.0.1:7070", "agent_image": "agent:1", "queue": "team-a"},
    KubernetesBackend,
)
LIVES, TAKEN, HOPELESS = NodeState.LIVES, NodeState.TAKEN, NodeState.HOPELESS
LOST = timedelta(days=1)
NO_ROOM = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def claim(holder: str = "", **annotations: str) -> Lease:
    told = {f"trainshed.dev/{name}": text for name, text in annotations.items()}
    metadata = {"name": "ts-a-1-algo-1", "annotations": told}
    return convert({"metadata": metadata, "spec": {"holderIdentity": holder}}, Lease)


def job(**spec: Any) -> Job:
    metadata = {"name": "ts-a-1-algo-1", "creationTimestamp": at(NOON), "uid": "j"}
    status = spec.pop("status", {})
    template: dict[str, Any] = {"template": {}}
    return convert({"metadata": metadata, "spec": {**template, **spec}, "status": status}, Job)


def pod(
    phase: str = "Pending",
    *,
    uid: str = "p",
    scheduled: str = "True",
    stage: dict[str, Any] | None = None,
    main: dict[str, Any] | None = None,
    agent: dict[str, Any] | None = None,
    deleted: datetime | None = None,
    **status: Any,
) -> Pod:
    """Return a pod as an API server has it; ``stage``, ``main``, ``agent``: their states."""
    reason = {"reason": "Unschedulable", "message": NO_ROOM} if scheduled != "True" else {}
    initialized = "True" if main or agent else "False"
    conditions = [
        {"type": "PodScheduled", "status": scheduled, "lastTransitionTime": at(NOON), **reason},
        {"type": "Initialized", "status": initialized, "lastTransitionTime": at(NOON)},
        *status.pop("conditions", []),
    ]
    metadata: dict[str, Any] = {"name": "ts-a-1-algo-1-xyz", "uid": uid}
    if deleted is not None:
        metadata["deletionTimestamp"] = at(deleted)
    containers = [{"name": pods.MAIN, "image": "img:1"}, {"name": pods.AGENT, "image": "agent:1"}]
    found = {
        "phase": phase,
        "conditions": conditions,
        "initContainerStatuses": [container(pods.STAGE, stage)] if stage else [],
        "containerStatuses": [
            container(name, state)
            for name, state in ((pods.MAIN, main), (pods.AGENT, agent))
            if state
        ],
        **status,
    }
    stages = [{"name": pods.STAGE, "image": "agent:1"}]
    spec = {"containers": containers, "initContainers": stages}
    return convert({"metadata": metadata, "spec": spec, "status": found}, Pod)


def container(name: str, state: dict[str, Any]) -> dict[str, Any]:
    plain = {"image": "", "imageID": "", "ready": False, "restartCount": 0}
    return {**plain, "name": name, "state": state}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    told = {"exitCode": code, "reason": reason if code else "Completed", "message": message}
    return {"terminated": told}


RUNS = {"running": {"startedAt": at(NOON)}}
MADE = waits("PodInitializing")


def event(reason: str, message: str, kind: str = "Pod", after: float = 0.0) -> Event:
    when = at(NOON + timedelta(seconds=after))
    return convert(
        {
            "involvedObject": {"kind": kind, "name": "ts-a-1-algo-1"},
            "metadata": {"name": f"e.{reason}"},
            "reason": reason,
            "message": message,
            "firstTimestamp": when,
            "lastTimestamp": when,
        },
        Event,
    )


def seen(traces: Traces, after: float = 0.0) -> Look:
    return look(traces, NOON + timedelta(seconds=after), OPTIONS)


def waiting(the_pod: Pod, *events: Event, holder: str = "", **annotations: str) -> Traces:
    told = claim(holder, **annotations)
    return Traces(claim=told, job=job(), pods=(the_pod,), events=events)


@pytest.mark.parametrize(
    ("traces", "says"),
    [
        (Traces(claim=claim(), job=job()), ""),
        (Traces(claim=claim(), job=job(suspend=True)), "it waits in the queue 'team-a' of Kueue"),
        (waiting(pod()), ""),
        (waiting(pod(scheduled="False")), f"the cluster has no room for it: {NO_ROOM}"),
        (waiting(pod(stage=waits("PodInitializing"))), ""),
        (
            waiting(pod(stage=MADE), event("Pulling", 'Pulling image "agent:1"')),
            'pulling image "agent:1"',
        ),
        (
            waiting(
                pod(stage=MADE),
                event("Pulling", 'Pulling image "agent:1"'),
                event("Pulled", "Successfully pulled image", after=1),
            ),
            "",
        ),
        (waiting(pod(stage=RUNS), holder="p"), ""),
        (waiting(pod("Running", stage=ended(0), main=RUNS, agent=RUNS), holder="p"), ""),
        (waiting(pod("Running", stage=ended(0), main=ended(1), agent=RUNS), holder="p"), ""),
    ],
)
def test_a_node_that_lives_says_why_it_has_not_begun(traces: Traces, says: str) -> None:
    assert seen(traces).sight == Sight(LIVES, says)


MOUNT = 'MountVolume.SetUp failed for volume "fs-1" : mount failed: exit status 32'
QUOTA = 'pods "ts-a" is forbidden: exceeded quota: few, requested: pods=1, used: pods=9, limited: 9'
UNKNOWN = 'Failed to pull image "img:1": not found'
PSS = 'pods "ts-a" is forbidden: violates PodSecurity "restricted:latest"'


@pytest.mark.parametrize(
    ("traces", "limit", "says", "reason"),
    [
        (
            waiting(pod(scheduled="False")),
            OPTIONS.unschedulable_seconds,
            f"the cluster has no room for it: {NO_ROOM}",
            f"CapacityError: the cluster had no room for it: {NO_ROOM}",
        ),
        (
            Traces(claim=claim(), job=job(), events=(event("FailedCreate", QUOTA, "Job"),)),
            OPTIONS.unschedulable_seconds,
            f"the namespace's quota has no room for it: {QUOTA}",
            f"CapacityError: the namespace's quota had no room for it: {QUOTA}",
        ),
        (
            Traces(claim=claim(), job=job(), events=(event("FailedCreate", PSS, "Job"),)),
            OPTIONS.config_seconds,
            f"the cluster refuses its pod: {PSS}",
            f"InternalServerError: the cluster refused the job's pod: {PSS}",
        ),
        (
            waiting(
                pod(stage=ended(0), main=waits("ErrImagePull", "manifest unknown")), holder="p"
            ),
            OPTIONS.image_seconds,
            "the image 'img:1' cannot be pulled: manifest unknown",
            "ClientError: the image 'img:1' cannot be pulled: manifest unknown",
        ),
        (
            waiting(
                pod(
                    stage=ended(0), main=waits("ImagePullBackOff", 'Back-off pulling image "img:1"')
                ),
                event("Failed", UNKNOWN),
                event("Failed", "Error: ErrImagePull", after=1),
                holder="p",
            ),
            OPTIONS.image_seconds,
            f"the image 'img:1' cannot be pulled: {UNKNOWN}",
            f"ClientError: the image 'img:1' cannot be pulled: {UNKNOWN}",
        ),
        (
            waiting(pod(stage=waits("InvalidImageName", "couldn't parse"))),
            OPTIONS.image_seconds,
            "the agent's 'agent:1' cannot be pulled: couldn't parse",
            "InternalServerError: the agent's 'agent:1' cannot be pulled: couldn't parse",
        ),
        (
            waiting(pod(main=waits("CreateContainerConfigError", 'secret "x" not found'))),
            OPTIONS.config_seconds,
            'the container cannot be made: secret "x" not found',
            'ClientError: the container cannot be made: secret "x" not found',
        ),
        (
            waiting(pod(stage=MADE), event("FailedMount", MOUNT)),
            OPTIONS.mount_seconds,
            f"its volumes or its network cannot be had: {MOUNT}",
            f"InternalServerError: the pod's volumes or network could not be had: {MOUNT}",
        ),
    ],
)
def test_what_waits_too_long_is_hopeless(
    traces: Traces, limit: float, says: str, reason: str
) -> None:
    found = seen(traces, after=limit - 1)
    assert found.sight == Sight(LIVES, says)
    assert found.until == NOON + timedelta(seconds=limit)
    assert seen(traces, after=limit).sight == Sight(HOPELESS, reason)


EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: disk."}
PREEMPTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "PreemptionByScheduler",
    "message": "preempting to accommodate a higher priority pod",
}


@pytest.mark.parametrize(
    ("traces", "says"),
    [
        (waiting(pod(**EVICTED), holder="p"), "Evicted: The node was low on resource: disk."),
        (
            waiting(pod("Failed", conditions=[PREEMPTED]), holder="p"),
            "PreemptionByScheduler: preempting to accommodate a higher priority pod",
        ),
        (waiting(pod("Succeeded", main=ended(0), agent=ended(0)), holder="p"), ""),
        (waiting(pod("Failed", main=ended(1), agent=ended(0)), holder="p"), ""),
        (waiting(pod("Running", main=RUNS, agent=ended(0)), holder="p"), ""),
        (
            waiting(pod("Running", main=RUNS, agent=ended(137, "OOMKilled")), holder="p"),
            "its agent ended with exit code 137 (OOMKilled)",
        ),
        (waiting(pod("Failed", stage=ended(3)), holder="p"), "its agent ended with exit code 3"),
        (
            waiting(pod("Failed", stage=ended(3, "Error", "the node was removed")), holder="p"),
            "its agent ended with exit code 3 (the node was removed)",
        ),
        (waiting(pod(**EVICTED)), "Evicted: The node was low on resource: disk."),
        (
            waiting(pod("Running", main=RUNS, agent=RUNS, deleted=NOON - LOST), holder="p"),
            "its machine does not answer any more",
        ),
        (Traces(claim=claim(pods.REMOVED), job=job()), ""),
    ],
)
def test_who_took_a_node_and_why(traces: Traces, says: str) -> None:
    found = seen(traces)
    assert found.sight == Sight(TAKEN, says)
    assert found.is_certain


def test_a_job_that_fills_its_disk_fails_and_says_what_it_needs() -> None:
    full = 'Usage of EmptyDir volume "node" exceeds the limit "1Gi". '
    found = seen(waiting(pod("Failed", reason="Evicted", message=full), holder="p")).sight
    assert found.state is HOPELESS
    assert found.says.startswith("ClientError: the job needs more disk than its VolumeSizeInGB")


def test_a_pod_that_was_replaced_is_not_the_node() -> None:
    traces = waiting(pod("Running", uid="another", stage=RUNS), holder="p")
    assert seen(traces).sight == Sight(TAKEN, "its pod was deleted")
    evicted = event("TaintManagerEviction", "Marking for deletion Pod ml/ts-a")
    told = replace(traces, events=(evicted,))
    assert seen(told).sight.says == "TaintManagerEviction: Marking for deletion Pod ml/ts-a"
    lost = replace(traces, lost="Evicted: by hand")
    assert seen(lost).sight.says == "Evicted: by hand"


@pytest.mark.parametrize("traces", [Traces(), Traces(claim=claim()), Traces(claim=claim("p"))])
def test_what_is_only_not_seen_is_not_certain(traces: Traces) -> None:
    found = seen(traces)
    assert found.sight.state is TAKEN
    assert not found.is_certain


def test_a_job_whose_claim_is_not_seen_yet_lives() -> None:
    assert seen(Traces(job=job())).sight.state is LIVES


def test_a_job_that_gave_up_makes_no_pod_any_more() -> None:
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "late"}
    traces = Traces(claim=claim(), job=job(status={"conditions": [failed]}))
    assert seen(traces).sight == Sight(TAKEN, "DeadlineExceeded: late")


def test_a_pod_that_is_going_lives_until_it_is_gone_or_its_machine_is_lost() -> None:
    going = pod("Running", main=RUNS, agent=RUNS, deleted=NOON)
    found = seen(waiting(going, holder="p"), after=5)
    assert (found.sight.state, found.until) == (LIVES, NOON + timedelta(seconds=60))
    assert seen(waiting(going, holder="p"), after=60).sight.state is TAKEN
    removed = Traces(claim=claim(pods.REMOVED), job=job(), pods=(going,))
    assert seen(removed, after=5).sight.state is LIVES
    assert seen(removed, after=60).sight.state is TAKEN


NOTICE = '{"at": 1, "deadline": 0, "reason": "a drill"}'


def test_a_node_that_waits_is_ended_when_it_is_asked_to_stop_or_to_go() -> None:
    stuck = pod(scheduled="False")
    for asked in ({"stop": "1"}, {"notice": NOTICE}):
        found = seen(waiting(stuck, **asked))
        assert found.is_to_end
        assert found.sight.state is LIVES
        begins = seen(waiting(pod(stage=RUNS), **asked))
        assert not begins.is_to_end  # its agent will hear of it
    gone = Traces(claim=claim(pods.REMOVED, stop="1"))
    assert seen(gone).sight == Sight(HOPELESS, STOPPED)
    gone = Traces(claim=claim(pods.REMOVED, notice=NOTICE))
    assert seen(gone).sight == Sight(TAKEN, "a drill")
    gone = Traces(claim=claim(pods.REMOVED, stop=pods.TAKEN, notice=NOTICE))
    assert seen(gone).sight == Sight(TAKEN, "a drill")


def test_what_changes_by_itself_is_not_said() -> None:
    first, second = (
        waiting(pod(main=waits("CreateContainerError", f"back-off {seconds}s restarting")))
        for seconds in (10, 20)
    )
    assert seen(first).sight == seen(second).sight
    long = waiting(pod(main=waits("CreateContainerError", "x" * 5000)))
    assert len(seen(long, after=10_000).sight.says) < 600


states = st.sampled_from([None, RUNS, MADE, ended(0), ended(1), waits("ErrImagePull", "no")])
some_pods = st.builds(
    pod,
    st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    uid=st.sampled_from(["p", "q"]),
    scheduled=st.sampled_from(["True", "False"]),
    stage=states,
    main=states,
    agent=states,
    deleted=st.sampled_from([None, NOON, NOON - LOST]),
)
anything = st.builds(
    Traces,
    claim=st.sampled_from(
        [None, claim(), claim("p"), claim(pods.REMOVED), claim(stop="1"), claim(notice=NOTICE)]
    ),
    job=st.sampled_from([None, job(), job(suspend=True)]),
    pods=st.lists(some_pods, max_size=2).map(tuple),
    events=st.just(()),
)


@given(anything, st.floats(0, 10_000))
def test_every_look_says_what_its_state_needs(traces: Traces, after: float) -> None:
    found = seen(traces, after)
    if found.sight.state is HOPELESS:
        assert found.sight.says.split(": ")[0] in {
            "ClientError", "CapacityError", "InternalServerError"
        }  # fmt: skip
    if found.sight.state is LIVES and found.until is not None:
        assert found.until > NOON + timedelta(seconds=after)
    alive = [each for each in traces.pods if each.status and each.status.phase == "Running"]
    if (
        traces.claim == claim(pods.REMOVED)
        and alive
        and not any(each.metadata and each.metadata.deletionTimestamp for each in alive)
    ):
        assert found.sight.state is LIVES  # nothing is called gone while it runs
