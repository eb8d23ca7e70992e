"""A container that can not be ended does not hold its node for ever."""

import select
from pathlib import Path

from tests.agent.sibling.conftest import MakeSpot

from trainshed.agent.runtimes.sibling.cluster import Cluster
from trainshed.agent.runtimes.sibling.container import SiblingContainer
from trainshed.agent.runtimes.sibling.following import Following
from trainshed.agent.runtimes.sibling.own_pod import OwnPod
from trainshed.agent.runtimes.sibling.place import Place
from trainshed.agent.runtimes.sibling.pod import State
from trainshed.agent.runtimes.sibling.processes import Processes
from trainshed.agent.stopping import Stop
from trainshed.testing.played_pod import ID


def test_a_program_that_nobody_can_see_is_given_up_once_it_should_be_dead(
    spot: MakeSpot, tmp_path: Path
) -> None:
    node = spot()
    node.set_main({"running": {}})
    place = Place(root=node.root, pod=node.name, uid=node.uid, host="127.0.0.1",
                  port=node.cluster.port)  # fmt: skip
    cluster, stop, said = Cluster(place), Stop(tmp_path / "stop"), list[str]()
    own = OwnPod(cluster, place, stop, lambda: None)
    own.start()
    assert own.wait(lambda pod: pod.main.state is State.RUNNING, 30)
    following = Following(cluster, node.name, tmp_path / "heard", complain=said.append)
    container = SiblingContainer(
        own, following, Processes(place.processes, ID), stop, said.append, stuck_s=0.0
    )
    assert not container.terminate()
    container.kill()
    (output,) = container.outputs
    while container.read(output) is not None:
        select.select([output], [], [], 30)
    ended = container.collect()
    assert ended.lost == "the program could not be killed: the pod does not show its processes"
    node.cluster.drop_pod(node.name)
    assert own.wait(lambda _: False, 30), "it follows nothing any more"
