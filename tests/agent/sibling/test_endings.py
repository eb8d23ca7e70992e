"""How a program in a pod is stopped, and what becomes of one whose pod is taken away."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import until
from tests.agent.sibling.conftest import MakeSpot, Spot

from trainshed.domain.facts import Kind
from trainshed.domain.notice import Notice

SAVES = """
trap 'echo saving; echo 1 >"$ML/model/weights"; exit 7' TERM
echo up; while :; do sleep 0.01; done
"""
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.01; done"


def _running(node: Spot, script: str) -> Any:
    assert node.stage() == 0, node.said()
    node.begin(script)
    agent = node.run("--keep")
    node.wait_for_line("up")
    return agent


def test_a_program_is_asked_to_stop_and_what_it_saves_is_delivered(
    spot: MakeSpot, tmp_path: Path
) -> None:
    node = spot(grace=60.0)
    agent = _running(node, SAVES)
    node.annotate(stop="1")
    assert agent.wait(60) == 0
    assert node.ended() == ("stopped", "")
    assert node.lines() == ["up", "saving"]
    assert (tmp_path / "out/job-1/output/model.tar.gz").exists()


@pytest.mark.parametrize(("wishes", "grace"), [(["1"], 0.2), (["1", "2"], 600.0)])
def test_a_program_that_does_not_stop_is_killed(
    spot: MakeSpot, wishes: list[str], grace: float
) -> None:
    node = spot(grace=grace)
    agent = _running(node, STUBBORN)
    for wish in wishes:
        node.annotate(stop=wish)
        node.wait_for(Kind.STOPPING)
    assert agent.wait(60) == 0
    assert node.ended() == ("stopped", "")
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert exited.detail["exit_code"] == 137


def test_a_wish_that_came_before_the_pod_stands_on_its_claim(spot: MakeSpot) -> None:
    node = spot()
    node.lease["metadata"]["annotations"] = {"trainshed.dev/stop": "1"}
    assert node.stage() == 1
    assert node.ended() == ("stopped", "")


def test_a_program_that_began_before_its_agent_is_stopped_as_any_other(spot: MakeSpot) -> None:
    node = spot(grace=60.0)
    node.stage()
    node.begin(SAVES)
    until(lambda: node.cluster.log)  # it can save now
    node.annotate(stop="1")
    assert node.run("--keep").wait(60) == 0
    assert node.ended() == ("stopped", "")
    assert node.lines() == ["up", "saving"]


def test_a_node_that_is_taken_away_kills_its_program_and_says_nothing_more(spot: MakeSpot) -> None:
    node = spot()
    agent = _running(node, STUBBORN)
    told = node.kinds()
    node.annotate(stop="3")
    assert agent.wait(60) == 3
    node.wait_for_main()
    assert node.kinds() == told


def test_a_notice_interrupts_the_program(spot: MakeSpot, tmp_path: Path) -> None:
    node = spot(grace=60.0)
    agent = _running(node, SAVES)
    notice = Notice(at=time.time(), deadline=time.time() + 60, reason="spot prices rose")
    node.annotate(notice=json.dumps({"at": notice.at, "deadline": notice.deadline,
                                     "reason": notice.reason}))  # fmt: skip
    assert agent.wait(60) == 0
    assert node.ended() == ("interrupted", "spot prices rose")
    assert node.lines()[-1] == "saving"
    assert not (tmp_path / "out").exists()


def _delete(node: Spot, grace: int = 60, **status: Any) -> None:
    gone = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + grace))

    def change(pod: dict[str, Any]) -> None:
        pod["metadata"] |= {"deletionTimestamp": gone, "deletionGracePeriodSeconds": grace}
        pod["status"] |= status

    node.change(change)


def _kubelet_ends(node: Spot, agent: Any) -> None:
    """Do as a kubelet does with all containers of a pod that is deleted; it says no more then."""
    for each in (node.main, agent):
        each.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("tells", [True, False])
def test_a_deleted_pod_is_an_interruption_and_its_program_gets_one_signal(
    spot: MakeSpot, tells: bool
) -> None:
    node = spot(grace=60.0)
    agent = _running(node, "trap 'echo saving' TERM; echo up; while :; do sleep 0.01; done")
    node.tells_of_ends = tells
    _delete(node)
    _kubelet_ends(node, agent)
    node.wait_for(Kind.STOPPING)
    node.wait_for_line("saving")
    node.main.send_signal(signal.SIGKILL)
    assert agent.wait(60) == 0, node.said()
    assert node.ended() == ("interrupted", "the pod was deleted")
    notice = node.fact(Kind.NOTICE)
    assert notice is not None
    assert abs(notice.detail["deadline"] - time.time() - 60) < 60
    assert [line for line in node.lines() if line == "saving"] == ["saving"]


def test_who_takes_a_pod_is_the_reason(spot: MakeSpot) -> None:
    node = spot(grace=60.0)
    agent = _running(node, SAVES)
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    _delete(node, conditions=[condition])
    _kubelet_ends(node, agent)
    assert agent.wait(60) == 0
    assert node.ended() == ("interrupted", "EvictionByEvictionAPI: Eviction API: evicting")


def test_a_kubelet_that_ends_the_pod_without_a_word_is_a_notice_too(spot: MakeSpot) -> None:
    node = spot(grace=60.0)
    agent = _running(node, SAVES)
    _kubelet_ends(node, agent)
    assert agent.wait(60) == 0
    assert node.ended() == ("interrupted", "the kubelet ends the pod")


def test_a_pod_deleted_while_it_is_staged_is_an_interruption(
    spot: MakeSpot, tmp_path: Path
) -> None:
    node = spot(node_id="job-1.1.algo-2", host="algo-2", hosts=("algo-1", "algo-2"))
    stage = node.run("--stage")
    node.wait_for(Kind.STARTED)
    _delete(node)
    assert stage.wait(60) == 1
    assert node.ended() == ("interrupted", "the pod was deleted")


def test_a_pod_that_is_gone_at_once_loses_its_program(spot: MakeSpot) -> None:
    node = spot()
    agent = _running(node, STUBBORN)
    node.tells_of_ends = False
    node.cluster.drop_pod(node.name)
    assert agent.wait(60) == 0
    assert node.ended()[0] == "interrupted"


def test_an_agent_whose_job_nobody_knows_leaves(spot: MakeSpot) -> None:
    node = spot(grace=60.0)
    agent = _running(node, SAVES)
    node.reports.forget(node.plan.node_id)
    node.main.send_signal(signal.SIGTERM)
    assert agent.wait(60) == 0
    node.wait_for_main()


def test_an_agent_waits_for_a_server_that_is_away(spot: MakeSpot) -> None:
    node = spot()
    agent = _running(node, SAVES)
    node.reports.stop()
    node.main.send_signal(signal.SIGTERM)
    node.wait_for_main()
    node.reports.start()
    assert agent.wait(60) == 0
    assert node.ended()[0] == "failed"
