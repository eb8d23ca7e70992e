"""Agents of pods that are killed, and clusters that go away: what the next one finds and makes."""

import os
import signal
from pathlib import Path

import pytest
from tests.agent.conftest import until
from tests.agent.sibling.conftest import MakeSpot, Spot

from trainshed.domain.facts import Kind
from trainshed.testing.played_cluster import PlayedCluster
from trainshed.testing.pod_log import Entry

PLANS = {
    **{
        f"{how} each fact": "; ".join(
            f"journal.append.{how}#{nth}@{life}=crash"
            for life, nth in enumerate((1, 2, 2, 2, 2) if how == "torn" else (1, 1, 1, 1, 1), 1)
        )
        for how in ("torn", "after")
    },
    "around each step": "; ".join(
        f"step.{step}#1@{life}=crash"
        for life, step in enumerate(
            ("run_container.before", "run_container.after", "carry_out.before", "carry_out.after"),
            1,
        )
    ),
}


def _agents_until_done(node: Spot, faults: str) -> int:
    """Start agents one after the other, each hurt by the plan, until one is done; return how many.

    As the keeper does, which knows no faults.
    """
    for lives in range(1, 20):
        words = ("--faults", faults, "--beside")
        if node.run(*words, module="trainshed.testing.faulty_agent").wait(60) == 0:
            return lives
    raise AssertionError(node.said())


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_wherever_an_agent_dies_the_program_runs_once_and_all_is_told(
    spot: MakeSpot, plan: str
) -> None:
    node = spot()
    assert node.stage() == 0
    node.begin("echo one; echo two; exit 4")
    assert _agents_until_done(node, plan) > 4
    assert node.lines() == ["one", "two"]
    assert node.ended()[0] == "failed"
    assert node.ended()[1].endswith("exit code: 4")
    assert node.kinds().count("training") == node.kinds().count("exited") == 1


def test_the_keeper_starts_an_agent_over_and_lines_are_neither_lost_nor_doubled(
    spot: MakeSpot,
) -> None:
    node = spot(grace=60.0)
    node.stage()
    node.begin("i=0; trap 'exit 0' TERM; while :; do i=$((i+1)); echo $i; sleep 0.001; done")
    keeper = node.run("--keep")
    for seen in (20, 100, 300):
        node.wait_for_line(str(seen))
        for pid in _children(keeper.pid):
            _kill(pid)
    node.wait_for_line("500")
    node.annotate(stop="1")
    assert keeper.wait(60) == 0
    lines = node.lines()
    assert lines == [str(number) for number in range(1, len(lines) + 1)]
    assert node.ended() == ("stopped", "")


def test_a_program_that_ended_while_no_agent_was_there_is_told_whole(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    node.begin("echo up; sleep 0.2; seq 20000; echo 'KeyError: x' >&2; exit 9")
    agent = node.run("--beside")
    node.wait_for_line("up")
    _kill(agent.pid)
    node.wait_for_main()
    assert node.run("--keep").wait(60) == 0
    assert node.lines() == ["up", *map(str, range(1, 20001)), "KeyError: x"]
    assert node.ended() == ("failed", "AlgorithmError: KeyError: x, exit code: 9")


def test_what_the_kubelet_has_thrown_away_meanwhile_the_next_agent_still_has(
    spot: MakeSpot,
) -> None:
    node = spot()
    node.stage()
    node.begin("true")
    node.wait_for_main()
    with node.cluster.changed:
        node.cluster.over = False
        node.cluster.log = [Entry(_at(second), b"%d\n" % second) for second in range(10)]
    node.set_main({"running": {}})
    agent = node.run("--beside")
    node.wait_for_line("9")
    _kill(agent.pid)
    with node.cluster.changed:
        node.cluster.log = [Entry(_at(second), b"%d\n" % second) for second in range(8, 12)]
    node.be_over(0, "Completed")
    assert node.run("--keep").wait(60) == 0
    assert node.lines() == [str(second) for second in range(12)]


def test_streams_that_break_cost_no_line(spot: MakeSpot) -> None:
    node = spot()
    node.cluster.cuts = [1, 4000, 0, 90000]
    node.stage()
    node.begin("seq 3000; head -c 50000 /dev/zero | tr '\\0' x; echo; seq 3000; echo end")
    assert node.run("--keep").wait(60) == 0
    numbers = [*map(str, range(1, 3001))]
    assert node.lines() == [*numbers, "x" * 50000, *numbers, "end"]


@pytest.mark.parametrize("old", [True, False])
def test_long_lines_come_whole_from_kubelets_old_and_new(spot: MakeSpot, old: bool) -> None:
    node = spot()
    node.cluster.old = old
    node.stage()
    sizes = (16383, 16384, 16385, 40000, 200000)
    node.begin("; ".join(f"head -c {size} /dev/zero | tr '\\0' x; echo" for size in sizes))
    assert node.run("--keep").wait(60) == 0
    assert [len(line) for line in node.lines()] == list(sizes)


def test_a_cluster_that_goes_away_and_comes_back_costs_nothing(
    spot: MakeSpot, cluster: PlayedCluster
) -> None:
    node = spot()
    node.stage()
    node.begin("echo up; while :; do sleep 0.01; done")
    agent = node.run("--keep")
    until(lambda: node.fact(Kind.TRAINING))
    cluster.stop()
    node.main.send_signal(signal.SIGTERM)
    node.wait_for_main()
    cluster.start()
    assert agent.wait(60) == 0
    assert node.ended()[0] == "failed"


def test_a_keeper_starts_an_agent_over_that_dies_at_once(spot: MakeSpot) -> None:
    node = spot()
    node.stage()
    plan = (node.folder / "plan.json").read_text()
    (node.folder / "plan.json").write_text("nonsense")
    node.begin("true")
    keeper = node.run("--keep")
    until(lambda: "the agent has died 2 times" in node.said())
    (node.folder / "plan.json").write_text(plan)
    assert keeper.wait(60) == 0
    assert node.ended() == ("completed", "")


def _at(second: int) -> int:
    return 1_790_000_000_000_000_000 + second * 1_000_000_000


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
