"""Gets an engine ready before its first job, and tells what it has."""

import json
import os
import sys
from dataclasses import asdict

from trainshed.agent.runtimes.docker import network
from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError, find_socket
from trainshed.agent.runtimes.docker.machine import look
from trainshed.domain.names import CONTAINER_ADDRESS


def main(asked: str) -> int:
    """Make the shared network, and print the engine as one line of JSON; return the exit code.

    The line: ``{"engine": socket, "version", "cpus", "memory": bytes, "gpus", "address"}``, where
    ``address`` is this machine's for containers, "" when the network that has it can't be made.

    Args:
        asked: the engine's socket, ``unix:///path``; "" to look in the usual places.
    """
    try:
        engine = Engine(find_socket(asked, os.environ))
        machine = look(engine)
        address = _address(engine)
    except EngineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - it is a program's
        return 1
    found = asdict(machine)
    del found["gpu_driver"]
    print(json.dumps({"engine": engine.path, **found, "address": address}))  # noqa: T201
    return 0


def _address(engine: Engine) -> str:
    try:
        network.ensure_shared(engine)
    except EngineAway:
        raise
    except EngineError as error:
        why = f"no network {network.SHARED} with the address {CONTAINER_ADDRESS}: {error}"
        print(why, file=sys.stderr)  # noqa: T201
        return ""
    return CONTAINER_ADDRESS
