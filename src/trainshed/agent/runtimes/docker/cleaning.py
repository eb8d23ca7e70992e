"""Removes what a node made in an engine, also when its agent is gone.

Before anything is made, ``<folder>/to-clean`` says where it will be, so that nothing is left that
nobody knows of. Everything a node makes bears its id as a label.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from trainshed.agent.runtimes.docker import network, peers
from trainshed.agent.runtimes.docker.engine import Engine, EngineError
from trainshed.agent.runtimes.docker.locking import locked
from trainshed.agent.runtimes.docker.ownership import take_back
from trainshed.agent.runtimes.docker.spec import NODE_LABEL
from trainshed.domain.plan import NodePlan

NAME: Final = "to-clean"
_JUST_NOW_S: Final = 10.0
_SETTLE_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Where a node leaves what it makes."""

    engine: str
    """Path of the socket."""
    node_id: str
    lock: str
    """The file that agents of this machine lock."""

    @classmethod
    def of(cls, plan: NodePlan, engine: Engine, folder: Path) -> "Left":
        """Return where a node of this plan leaves it."""
        lock = Path(plan.cache or folder.parent) / "docker.lock"
        return cls(engine=engine.path, node_id=plan.node_id, lock=str(lock))

    @classmethod
    def read(cls, folder: Path) -> "Left | None":
        """Return what stands in a node's folder; None when nothing was ever made."""
        try:
            return cls(**json.loads((folder / NAME).read_text()))
        except FileNotFoundError:
            return None

    def write(self, folder: Path) -> None:
        """Write it down, at once or not at all."""
        unfinished = folder / f"{NAME}.new"
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(folder / NAME)


def clean(folder: Path, known: Left | None = None) -> None:
    """Remove the containers, their volumes and the network of a node; again is no error.

    ``known`` is what to go by where somebody has deleted the node's folder.

    Raises:
        EngineError: something may still be there.
    """
    left = Left.read(folder)
    if left is None and not folder.exists():
        left = known
    if left is None:
        return
    engine = Engine(left.engine)
    with locked(Path(left.lock)):
        remove_containers(engine, left.node_id)
        attempt = network.attempt_of(left.node_id)
        if network.remove_unused(engine, attempt):
            peers.forget(attempt, Path(left.lock))
    # Not under the lock: large folders take a while, and other agents wait for it.
    take_back(engine, folder, {NODE_LABEL: left.node_id})
    (folder / NAME).unlink(missing_ok=True)


def _let_it_settle(mark: Path) -> None:
    """Wait while a request that an agent has died over may still be at work in the engine."""
    if mark.exists() and time.time() - mark.stat().st_mtime < _JUST_NOW_S:
        time.sleep(_SETTLE_S)


def remove_containers(engine: Engine, node_id: str) -> None:
    """Kill and remove every container of a node.

    Raises:
        EngineError: one may still be there.
    """
    label = json.dumps({"label": [f"{NODE_LABEL}={node_id}"]})
    for found in engine.get("/containers/json", all="true", filters=label) or ():
        try:
            engine.delete(f"/containers/{found['Id']}", force="true", v="true")
        except EngineError as error:
            # 409: somebody else is removing it.
            if error.status not in {404, 409}:
                raise


def main(folder: Path) -> int:
    """Clean, and say on stderr why it was in vain; return the exit code, 0 when nothing is left."""
    try:
        _let_it_settle(folder / NAME)
        clean(folder)
    except (EngineError, OSError, ValueError, TypeError) as error:
        print(f"{folder}: {error}", file=sys.stderr)  # noqa: T201 - it is a program's
        return 1
    return 0
