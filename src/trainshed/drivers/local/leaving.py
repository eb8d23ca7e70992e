"""Ends what a node runs, and deletes what it leaves: agent, container, folder.

Every function may be called again after a crash at any line, and by two servers at once.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trainshed.domain.errors import DriverError
from trainshed.drivers.local.agents import Agents
from trainshed.drivers.local.left_over import end_left_over, has_mounts

UPLOADS: Final = "uploads"
"""The folder of a node's uploads under way."""
_KILL_SECONDS: Final = 10.0
"""How long a killed agent may take to vanish before it is an error."""
_CLEAN_SECONDS: Final = 300.0
"""How long an engine may take to remove a container with all its files."""
_DELETIONS: Final = 20
_DELETION_PAUSE_SECONDS: Final = 0.05
"""How often, and how far apart, to try deleting what a dying container still writes into."""


async def kill(agents: Agents, folder: Path) -> None:
    """Kill a node's agent, and wait until it is gone.

    Raises:
        DriverError: it does not go.
    """
    try:
        async with asyncio.timeout(_KILL_SECONDS):
            while agents.lives(folder):
                agents.kill(folder)
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise DriverError(f"the agent of {folder} does not die of SIGKILL") from error


async def end(folder: Path, cleaning: Sequence[str], environment: Mapping[str, str]) -> None:
    """End what a node without an agent has left running, here and in an engine.

    Args:
        folder: the node's.
        cleaning: the command that removes what is left in an engine and in stores, and unmounts
            what is mounted: only the agent's code knows how.
        environment: what the command gets.

    Raises:
        DriverError: something is still there; the same call may do it later.
    """
    await asyncio.to_thread(end_left_over, folder)
    unfinished = (folder / "to-clean").exists() or any((folder / UPLOADS).glob("*"))
    if not unfinished and not await asyncio.to_thread(has_mounts, folder):
        return
    process = await asyncio.create_subprocess_exec(
        *cleaning,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        async with asyncio.timeout(_CLEAN_SECONDS):
            said = (await process.communicate())[1]
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise DriverError(f"what {folder} left is not removed in time") from error
    if process.returncode:
        why = said.decode(errors="replace").strip()
        raise DriverError(f"what {folder} left cannot be removed: {why}")


async def delete(folder: Path, *, but: str = "") -> None:
    """Delete a folder; with ``but``, only what is in it, and not the file of that name.

    Raises:
        DriverError: something is still there; the same call may do it later.
    """
    left: OSError | None = None
    for _ in range(_DELETIONS):
        left = await asyncio.to_thread(_delete, folder, but)
        if left is None:
            return
        await asyncio.sleep(_DELETION_PAUSE_SECONDS)
    raise DriverError(f"cannot delete {folder}: {left}; delete it by hand") from left


def _delete(folder: Path, but: str) -> OSError | None:
    """Delete also where a job took its own rights away; return what stands against it."""
    # A folder is opened up before it is listed. A link may lead anywhere, and is left as it is.
    for parent, folders, _ in os.walk(folder):
        for path in (Path(parent, name) for name in folders):
            with contextlib.suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)
    try:
        if not but:
            shutil.rmtree(folder)
        for each in [path for path in folder.iterdir() if path.name != but] if but else ():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
    except OSError as error:
        return error if folder.exists() else None
    return None
