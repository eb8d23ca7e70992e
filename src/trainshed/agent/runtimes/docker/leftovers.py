"""``python -m trainshed.agent.runtimes.docker.leftovers``: what an engine still has of our nodes.

find <engine> <data folder>       print all there is, as JSON: a list of [kind, id, name, owner]
remove <engine> <kind> <id>       remove one; what is gone already is no error

Everything that agents make bears its node, its attempt, and the data folder of its server: other
servers may use the same engine, and theirs is left alone. Exit code 1 with the reason on stderr.
"""

import json
import os
import sys
from typing import Any, Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineError, find_socket
from trainshed.agent.runtimes.docker.network import ATTEMPT_LABEL, DATA_LABEL
from trainshed.agent.runtimes.docker.spec import NODE_LABEL

_USAGE: Final = "usage: … find <engine> <data folder> | remove <engine> <kind> <id>\n"
_GONE: Final = 404


def find(engine: Engine, data: str) -> list[tuple[str, str, str, str]]:
    """Return (kind, id, name, owner) of all containers, networks and volumes of a server.

    Raises:
        EngineError: the engine did not tell.
    """
    label = json.dumps({"label": [f"{DATA_LABEL}={data}"]})
    found = []
    for each in engine.get("/containers/json", all="true", filters=label) or ():
        name = str((each.get("Names") or [each["Id"]])[0]).removeprefix("/")
        found.append(("container", str(each["Id"]), name, _owner(each)))
    for each in engine.get("/networks", filters=label) or ():
        named = str(each.get("Id") or each["Name"])
        found.append(("network", named, str(each["Name"]), _owner(each)))
    volumes = (engine.get("/volumes", filters=label) or {}).get("Volumes") or ()
    found += [("volume", str(each["Name"]), str(each["Name"]), _owner(each)) for each in volumes]
    return found


def _owner(found: Any) -> str:  # noqa: ANN401 - JSON
    labels = found.get("Labels") or {}
    return str(labels.get(NODE_LABEL) or labels.get(ATTEMPT_LABEL) or "")


def remove(engine: Engine, kind: str, name: str) -> None:
    """Remove one of these; a container with what is anonymous of its volumes.

    Raises:
        EngineError: it is still there.
    """
    path = {"container": "containers", "network": "networks", "volume": "volumes"}[kind]
    query: dict[str, str] = {"force": "true", "v": "true"} if kind == "container" else {}
    try:
        engine.delete(f"/{path}/{name}", **query)
    except EngineError as error:
        if error.status != _GONE:
            raise


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit code."""
    try:
        match arguments:
            case ["find", engine, data]:
                found = find(Engine(find_socket(engine, os.environ)), data)
                sys.stdout.write(json.dumps(found) + "\n")
            case ["remove", engine, "container" | "network" | "volume" as kind, name]:
                remove(Engine(find_socket(engine, os.environ)), kind, name)
            case _:
                sys.stderr.write(_USAGE)
                return 2
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
