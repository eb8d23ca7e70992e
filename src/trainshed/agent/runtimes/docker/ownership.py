"""Gives the node's files back to the agent's user, where a container wrote them as another.

An agent that is not root can neither read nor delete what root wrote. Who may use the engine may be
root in a container, so a short-lived one changes the owner. The job's image may have no ``chown``:
the container is made of an empty image, and sees this machine's programs, read-only.

Root there must be root here, or nobody could be given anything: where an engine maps users
(``userns-remap``), the container is taken out of the map. Where an engine runs as the agent's user
(rootless), that user is root there.
"""

import io
import os
import tarfile
from pathlib import Path
from typing import Final

from trainshed.agent.runtimes.docker.engine import Engine, EngineError
from trainshed.agent.runtimes.docker.machine import Machine, look

_EMPTY: Final = "trainshed/empty"
_PROGRAMS: Final = ("/usr", "/bin", "/lib", "/lib64")


def take_back(engine: Engine, folder: Path, labels: dict[str, str]) -> None:
    """Make everything below a folder the agent's own; nothing to do for root.

    Args:
        engine: what runs the container that does it.
        folder: the node's.
        labels: what that container bears.

    Raises:
        EngineError: it can't be done.
    """
    if os.geteuid() == 0 or _is_ours(folder):
        return
    _ensure_empty(engine)
    machine = look(engine)
    mounts: list[dict[str, object]] = [
        {"Type": "bind", "Source": each, "Target": each, "ReadOnly": True}
        for each in _PROGRAMS
        if Path(each).exists()
    ]
    # Without what is mounted below it: a view can't be given to anybody.
    mounts.append({"Type": "bind", "Source": str(folder), "Target": "/node", "ReadOnly": False,
                   "BindOptions": {"NonRecursive": True}})  # fmt: skip
    body = {
        "Image": _EMPTY,
        "User": "0:0",
        "Entrypoint": ["/usr/bin/chown", "-Rh", owner(machine), "/node"],
        "Labels": labels,
        "HostConfig": {"NetworkMode": "none", "Mounts": mounts, "UsernsMode": "host"},
    }
    container = str(engine.post("/containers/create", body)["Id"])
    try:
        engine.post(f"/containers/{container}/start")
        said = engine.post(f"/containers/{container}/wait", patient=True)
    finally:
        engine.delete(f"/containers/{container}", force="true", v="true")
    if code := (said or {}).get("StatusCode", "no code"):
        raise EngineError(0, f"the files in {folder} cannot be given back: chown exits with {code}")


def owner(machine: Machine) -> str:
    """Return ``user:group`` for the agent's own, as root in a container of the engine names it."""
    return "0:0" if machine.rootless else f"{os.geteuid()}:{os.getegid()}"


def _is_ours(folder: Path) -> bool:
    """Tell whether the agent's user owns everything below a folder."""
    own = os.geteuid()
    for parent, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not os.path.ismount(Path(parent, each))]
        for name in (*folders, *files):
            if os.lstat(Path(parent, name)).st_uid != own:
                return False
    return True


def _ensure_empty(engine: Engine) -> None:
    try:
        engine.get(f"/images/{_EMPTY}/json")
    except EngineError as error:
        if error.status != 404:
            raise
        nothing = io.BytesIO()
        tarfile.open(fileobj=nothing, mode="w").close()
        headers = {"Content-Type": "application/x-tar"}
        with engine.stream("POST", "/images/create", body=nothing.getvalue(), headers=headers,
                           fromSrc="-", repo=_EMPTY, tag="latest") as answer:  # fmt: skip
            for line in answer.objects():
                if "error" in line:
                    raise EngineError(0, str(line["error"])) from error
