"""What is read from a pod's object, and judged of its container's start."""

from typing import Any

import pytest

from trainshed.agent.runtimes.sibling.pod import Main, State, Wish, read
from trainshed.agent.runtimes.sibling.starting import Start, never_started
from trainshed.domain.facts import Outcome
from trainshed.domain.notice import Notice

AT = "2026-11-22T18:00:00Z"
EPOCH = 1795370400.0


def pod(**parts: Any) -> dict[str, Any]:
    return {"metadata": {"uid": "u"}, "spec": {"terminationGracePeriodSeconds": 90}, **parts}


def disrupted(reason: str, status: str = "True") -> dict[str, Any]:
    return {"type": "DisruptionTarget", "status": status, "reason": reason,
            "message": "because", "lastTransitionTime": AT}  # fmt: skip


def test_a_pod_of_which_nothing_is_known_waits_and_nothing_is_wished_of_it() -> None:
    seen = read(pod())
    assert (seen.uid, seen.main, seen.wish, seen.notice) == (
        "u", Main(state=State.WAITING), Wish.NONE, None,
    )  # fmt: skip
    assert not seen.going
    assert seen.grace == 90


@pytest.mark.parametrize(
    ("text", "wish"),
    [("1", Wish.STOP), ("2", Wish.AT_ONCE), ("3", Wish.TAKEN), ("0", Wish.NONE), ("x", Wish.NONE)],
)
def test_what_the_driver_wishes_stands_in_annotations(text: str, wish: Wish) -> None:
    assert read(pod(metadata={"annotations": {"trainshed.dev/stop": text}})).wish is wish


def test_of_several_words_that_a_pod_goes_the_one_counts_that_leaves_least_time() -> None:
    told = Notice(at=EPOCH, deadline=EPOCH + 20, reason="mine").to_bytes().decode()
    meta = {"annotations": {"trainshed.dev/notice": told},
            "deletionTimestamp": AT, "deletionGracePeriodSeconds": 30}  # fmt: skip
    assert read(pod(metadata=meta)).notice == Notice(
        at=EPOCH - 30, deadline=EPOCH, reason="the pod was deleted"
    )
    later = {**meta, "deletionTimestamp": "2026-11-22T18:01:00Z"}
    assert read(pod(metadata=later)).notice == Notice(at=EPOCH, deadline=EPOCH + 20, reason="mine")


def test_a_disruption_is_believed_before_the_pod_is_deleted_and_tells_why_after() -> None:
    condition = disrupted("DeletionByTaintManager")
    seen = read(pod(status={"conditions": [condition]}))
    assert seen.doomed
    assert not seen.going
    why = "DeletionByTaintManager: because"
    assert seen.notice == Notice(at=EPOCH, deadline=EPOCH + 90, reason=why)
    gone = {"deletionTimestamp": AT, "deletionGracePeriodSeconds": 0}
    seen = read(pod(metadata=gone, status={"conditions": [condition]}))
    assert seen.going
    assert seen.notice == Notice(at=EPOCH, deadline=EPOCH, reason=why)


def test_a_disruption_that_was_called_off_is_none() -> None:
    seen = read(pod(status={"conditions": [disrupted("PreemptionByScheduler", "False")]}))
    assert seen.notice is None
    assert not seen.doomed


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [disrupted("TerminationByKubelet")]},
        {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource"},
    ],
)
def test_a_kubelet_that_ends_a_pod_signals_its_containers_itself(status: dict[str, Any]) -> None:
    assert read(pod(status=status)).going


@pytest.mark.parametrize(
    ("image_id", "image", "digest"),
    [
        ("docker-pullable://r/i@sha256:0a", "sha256:0a", "r/i@sha256:0a"),
        ("docker://sha256:0a", "sha256:0a", ""),
        ("docker.io/library/i@sha256:0a", "sha256:0a", "docker.io/library/i@sha256:0a"),
        ("sha256:0a", "sha256:0a", ""),
        ("", "", ""),
    ],
)
def test_images_are_told_by_every_runtime_in_its_own_words(
    image_id: str, image: str, digest: str
) -> None:
    told = {"name": "algo", "imageID": image_id, "containerID": "containerd://4711",
            "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}  # fmt: skip
    other = {"name": "agent", "state": {"running": {}}}
    assert read(pod(status={"containerStatuses": [other, told]})).main == Main(
        state=State.ENDED, reason="OOMKilled", exit_code=137,
        container="4711", image=image, digest=digest,
    )  # fmt: skip


def waiting(reason: str, message: str = "") -> Main:
    return Main(state=State.WAITING, reason=reason, message=message)


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_what_no_waiting_changes_is_over(reason: str) -> None:
    over = Start(image="img").look(waiting(reason, "why"))
    assert over is not None
    assert over.outcome is Outcome.FAILED
    assert over.reason.startswith('ClientError: the image "img" cannot be had')
    assert f"({reason}: why)" in over.reason


def test_what_a_registry_says_is_kept_while_the_kubelet_waits_to_ask_it_again() -> None:
    start = Start(image="img")
    for main in (
        waiting("ContainerCreating"),
        waiting("ErrImagePull", "manifest unknown"),
        waiting("ImagePullBackOff", 'Back-off pulling image "img"'),
        waiting("ContainerCreating"),
    ):
        assert start.look(main) is None
    assert start.trouble == "ErrImagePull: manifest unknown"
    assert start.look(waiting("CreateContainerConfigError", 'secret "a" not found')) is None
    assert start.trouble == 'CreateContainerConfigError: secret "a" not found'


def test_an_agent_that_comes_late_has_at_least_the_reason() -> None:
    start = Start(image="img")
    assert start.look(waiting("ImagePullBackOff", 'Back-off pulling image "img"')) is None
    assert start.trouble == 'ImagePullBackOff: Back-off pulling image "img"'


def test_only_who_ended_without_running_never_started() -> None:
    assert never_started(Main(state=State.ENDED, reason="StartError"))
    assert not never_started(Main(state=State.ENDED, reason="Error"))
    assert not never_started(Main(state=State.WAITING, reason="StartError"))
