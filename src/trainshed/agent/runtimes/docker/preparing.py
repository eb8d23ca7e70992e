"""Gets an engine ready before its first job, and tells what it has."""

import json
import os
import sys
from dataclasses import asdict

from trainshed.agent.runtimes.docker import network
from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError, find_socket
from trainshed.agent.runtimes.docker.machine import Machine, look
from trainshed.domain.names import CONTAINER_ADDRESS


def main(asked: str) -> int:
    """Make the shared network, and print the engine as one line of JSON; return the exit code.

    The line: ``{"engine": socket, "version", "cpus", "memory": bytes, "gpus", "address"}``, where
    ``address`` is this machine's for containers, "" where they have none; stderr then says why.

    Args:
        asked: the engine's socket, ``unix:///path``; "" to look in the usual places.
    """
    try:
        engine = Engine(find_socket(asked, os.environ))
        machine = look(engine)
        address = _address(engine, machine)
    except EngineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - it is a program's
        return 1
    found = asdict(machine)
    del found["gpu_driver"], found["rootless"]
    print(json.dumps({"engine": engine.path, **found, "address": address}))  # noqa: T201
    return 0


def _address(engine: Engine, machine: Machine) -> str:
    if machine.rootless:
        why = (
            f"the engine runs without root, so its networks are not this machine's: containers do "
            f"not find the server at {CONTAINER_ADDRESS}"
        )
        print(why, file=sys.stderr)  # noqa: T201
        return ""
    try:
        network.ensure_shared(engine)
    except EngineAway:
        raise
    except EngineError as error:
        why = f"no network {network.SHARED} with the address {CONTAINER_ADDRESS}: {error}"
        print(why, file=sys.stderr)  # noqa: T201
        return ""
    return CONTAINER_ADDRESS
