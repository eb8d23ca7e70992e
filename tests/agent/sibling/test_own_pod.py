"""The pod is followed for ever, whatever becomes of the connection; nothing is missed for long."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import until

from trainshed.agent.runtimes.sibling.claim import Claim
from trainshed.agent.runtimes.sibling.cluster import Cluster, ClusterAway, ClusterError
from trainshed.agent.runtimes.sibling.own_pod import OwnPod
from trainshed.agent.runtimes.sibling.place import Place
from trainshed.agent.runtimes.sibling.pod import State
from trainshed.agent.stopping import Stop
from trainshed.testing.played_cluster import PlayedCluster

Change = Callable[[dict[str, Any]], None]


class Seat:
    """What an agent has of a pod, in this process."""

    def __init__(self, root: Path, played: PlayedCluster, certificate: Path) -> None:
        self.played = played
        self.place = Place(root=root, pod="p", uid="u", host="127.0.0.1", port=played.port)
        credentials = self.place.credentials
        credentials.mkdir(parents=True)
        (credentials / "token").write_text(played.token)
        (credentials / "namespace").write_text("ns")
        (credentials / "ca.crt").write_bytes(certificate.read_bytes())
        self.cluster = Cluster(self.place)
        self.stop = Stop(root / "stop")
        self.taken: list[str] = []
        played.put_pod({"metadata": {"name": "p", "uid": "u"}, "status": {}})

    def own(self, refused_s: float = 30.0) -> OwnPod:
        found = OwnPod(
            self.cluster, self.place, self.stop, lambda: self.taken.append("taken"),
            refused_s=refused_s,
        )  # fmt: skip
        found.start()
        return found

    def be(self, state: str) -> None:
        status = {"name": "algo", "state": {state: {}}}
        self.change(lambda pod: pod["status"].update(containerStatuses=[status]))

    def change(self, change: Change) -> None:
        self.played.change_pod("p", change)


@pytest.fixture
def seat(tmp_path: Path, cluster: PlayedCluster, certificate: Path) -> Iterator[Seat]:
    before = set(threading.enumerate())
    found = Seat(tmp_path, cluster, certificate)
    yield found
    # Whoever follows a pod does so until it is gone.
    cluster.refused.clear()
    (found.place.credentials / "token").write_text(cluster.token)
    cluster.start()
    if "p" in cluster.pods:
        cluster.drop_pod("p")
    until(
        lambda: all(each in before or each.name != "pod_follow" for each in threading.enumerate())
    )


def _is(state: State) -> Callable[[Any], bool]:
    return lambda pod: pod.main.state is state


def test_what_changes_while_nobody_is_connected_is_seen_afterwards(seat: Seat) -> None:
    own = seat.own()
    seat.be("running")
    assert own.wait(_is(State.RUNNING), 30)
    seat.played.break_off()
    seat.be("terminated")
    assert own.wait(_is(State.ENDED), 30)


def test_a_cluster_that_was_away_is_asked_again(seat: Seat) -> None:
    own = seat.own()
    assert own.wait(lambda pod: True, 30)
    seat.played.stop()
    seat.be("running")
    assert not own.wait(_is(State.RUNNING), 0.1)
    seat.played.start()
    assert own.wait(_is(State.RUNNING), 30)


def test_a_token_that_was_exchanged_is_read_again(seat: Seat) -> None:
    own = seat.own()
    assert own.wait(lambda pod: True, 30)
    seat.played.token = "another"
    seat.played.break_off()
    seat.be("running")
    (seat.place.credentials / "token").write_text("another\n")
    assert own.wait(_is(State.RUNNING), 30)


def test_a_pod_of_the_same_name_is_another(seat: Seat) -> None:
    own = seat.own()
    assert own.wait(lambda pod: True, 30)
    seat.change(lambda pod: pod["metadata"].update(uid="another"))
    until(lambda: own.gone)
    assert seat.stop.notice is not None


def test_wishes_come_with_the_pod_and_are_not_taken_back(seat: Seat) -> None:
    seat.own()
    for text in ("2", "1"):
        seat.change(lambda pod, text=text: pod["metadata"].update(  # type: ignore[misc]
            annotations={"trainshed.dev/stop": text}))  # fmt: skip
        until(lambda: seat.stop.impatient)
    assert not seat.taken
    seat.change(lambda pod: pod["metadata"].update(annotations={"trainshed.dev/stop": "3"}))
    until(lambda: seat.taken)


def test_a_signal_without_a_word_is_a_notice_for_as_long_as_the_pod_may_take(seat: Seat) -> None:
    seat.change(lambda pod: pod.update(spec={"terminationGracePeriodSeconds": 77}))
    own = seat.own()
    own.hear()
    own.settle(30)
    notice = seat.stop.notice
    assert notice is not None
    assert round(notice.deadline - notice.at) == 77


def test_a_signal_of_a_pod_that_is_being_deleted_means_that(seat: Seat) -> None:
    seat.change(lambda pod: pod["metadata"].update(
        deletionTimestamp="2099-01-01T00:02:00Z", deletionGracePeriodSeconds=120))  # fmt: skip
    own = seat.own()
    own.hear()
    own.settle(30)
    notice = seat.stop.notice
    assert notice is not None
    assert (notice.reason, notice.deadline - notice.at) == ("the pod was deleted", 120)


def test_rights_that_are_missing_are_named(seat: Seat) -> None:
    seat.played.refused[".*/pods"] = 403
    own = seat.own(refused_s=0.0)
    until(lambda: own.refusal)
    assert "Role trainshed-node" in own.refusal


def test_an_answer_tells_no_from_not_now(seat: Seat) -> None:
    with pytest.raises(ClusterError, match=r'leases.coordination.k8s.io "a" not found') as no:
        seat.cluster.lease("a")
    assert (no.value.status, isinstance(no.value, ClusterAway)) == (404, False)
    seat.played.refused[".*"] = 503
    with pytest.raises(ClusterAway):
        seat.cluster.lease("a")
    seat.played.stop()
    with pytest.raises(ClusterAway, match="does not answer"):
        seat.cluster.lease("a")
    (seat.place.credentials / "token").unlink()
    with pytest.raises(ClusterAway):
        seat.cluster.pods()


def test_a_cluster_that_shows_another_certificate_is_not_believed(
    seat: Seat, tmp_path: Path
) -> None:
    (seat.place.credentials / "ca.crt").write_bytes(Path(os.devnull).read_bytes())
    with pytest.raises(ClusterAway):
        seat.cluster.pods()


def test_a_claim_that_somebody_else_changes_meanwhile_is_taken_over_what_is_there(
    seat: Seat,
) -> None:
    seat.played.put_lease("ts-n", spec={})
    claim = Claim(seat.cluster, "n", "u")
    seat.played.leases["ts-n"]["metadata"]["annotations"] = {"trainshed.dev/stop": "1"}
    assert claim.take() == {"trainshed.dev/stop": "1"}
    claim.note_staged()
    notes = seat.played.leases["ts-n"]["metadata"]["annotations"]
    assert notes == {"trainshed.dev/stop": "1", "trainshed.dev/staged": "true"}
