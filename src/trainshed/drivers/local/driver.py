"""Nodes of this machine: each one a detached agent with a folder of its own.

The folder is the handle: whoever holds ``agent.lock`` in it is the node's agent, so a server that
was killed finds its nodes again, and a node can't be started twice. Agents outlive the server.

    nodes/<node_id>/plan.json    what to run (written here)
                    stop         1: the node is to stop, 2: at once, 0: neither (written here)
                    agent.lock   held while the agent lives: "<pid> <start time>"
                    to-clean     there while a container engine may hold something of the node
                    uploads/     a file for each upload under way
                    …            what the agent makes: journal, log, the /opt/ml tree
    unsent/<job>/<node_id>/      results that no store would take; never removed
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from trainshed.domain.errors import DriverError
from trainshed.domain.plan import NodePlan
from trainshed.drivers.base import Capabilities, Handle, NodeState
from trainshed.drivers.local.left_over import end_left_over, has_mounts
from trainshed.drivers.local.spare import Child, Spare

_KILL_SECONDS: Final = 10.0
"""How long a killed agent may take to vanish before it is an error."""
_CLEAN_SECONDS: Final = 300.0
"""How long an engine may take to remove a container with all its files."""
_DELETIONS: Final = 20
_DELETION_PAUSE_SECONDS: Final = 0.05
"""How often, and how far apart, to try deleting what a dying container still writes into."""
_WARM_UP_SECONDS: Final = 0.5
"""How long after a launch the next spare agent is started."""
_UPLOADS: Final = "uploads"
_AGENT: Final = (sys.executable, "-I", "-m", "trainshed.agent")


class LocalDriver:
    """Starts agents as processes of this machine."""

    def __init__(
        self,
        *,
        name: str,
        root: Path,
        capabilities: Capabilities,
        environment: Mapping[str, str],
        spare: Sequence[str] = ("--wait",),
    ) -> None:
        """Start nothing yet.

        Args:
            name: the backend's.
            root: the folder that holds a folder per node.
            capabilities: what was configured.
            environment: what agents get.
            spare: the arguments of an agent that waits; ``("--wait", "docker")`` has what the
                docker runtime needs loaded.
        """
        self._name = name
        self._root = root
        self._capabilities = capabilities
        self._environment = dict(environment)
        self._spare = Spare((*_AGENT, *spare), environment)
        self._children: dict[str, Child] = {}
        self._warming: asyncio.TimerHandle | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What was configured."""
        return self._capabilities

    async def launch(self, plan: NodePlan) -> Handle:
        """Start the plan's agent; see ``drivers.base``."""
        folder = self._root / plan.node_id
        new = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._lives(folder):
                kept = replace(
                    plan,
                    unsent=str(self._root.parent / "unsent"),
                    uploads=str(folder / _UPLOADS),
                )
                _write(folder / "plan.json", kept.to_json())
                _note_wish(folder / "stop", "0", anew=False)
                self._children[plan.node_id] = self._spare.take(folder)
                self._warm_up_later()
        except OSError as error:
            if new:  # nobody will hear of it, so nobody would remove it
                shutil.rmtree(folder, ignore_errors=True)
            raise DriverError(f"cannot start a node in {folder}: {error}") from error
        return Handle(self._name, str(folder))

    async def observe(self, handles: Sequence[Handle]) -> Mapping[Handle, NodeState]:
        """Return whose agents live, and which are gone."""
        return {
            handle: NodeState.LIVES if self._lives(Path(handle.state)) else NodeState.VANISHED
            for handle in handles
        }

    async def changed(self) -> frozenset[Handle]:
        """Wait for a node's agent to end."""
        never: asyncio.Future[frozenset[Handle]] = asyncio.get_running_loop().create_future()
        return await never

    async def interrupt(self, handle: Handle, *, notice: float | None, reason: str) -> None:
        """Take the node away; see ``drivers.base``."""
        raise DriverError(f"{handle.state} can't be taken away: {reason}")

    async def stop(self, handle: Handle, *, at_once: bool = False) -> None:
        """Write the wish down, then wake the agent by SIGTERM.

        An agent that starts later finds the wish in the file.
        """
        folder = Path(handle.state)
        if not folder.is_dir():
            return
        wish = folder / "stop"
        if at_once or not wish.exists() or wish.read_text() == "0":
            _note_wish(wish, "2" if at_once else "1")
        _signal_agent(folder, signal.SIGTERM)

    async def remove(self, handle: Handle) -> None:
        """Kill the agent, and with it the container; delete the folder."""
        folder = Path(handle.state)
        if not folder.is_dir():
            return
        try:
            async with asyncio.timeout(_KILL_SECONDS):
                while self._lives(folder):
                    if (child := self._children.get(folder.name)) is not None:
                        child.kill()
                    _signal_agent(folder, signal.SIGKILL)
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise DriverError(f"the agent of {folder} does not die of SIGKILL") from error
        await asyncio.to_thread(end_left_over, folder)
        unfinished = (folder / "to-clean").exists() or any((folder / _UPLOADS).glob("*"))
        if unfinished or await asyncio.to_thread(has_mounts, folder):
            await self._clean(folder)
        left: OSError | None = None
        for _ in range(_DELETIONS):
            left = await asyncio.to_thread(_delete, folder)
            if left is None:
                return
            await asyncio.sleep(_DELETION_PAUSE_SECONDS)
        raise DriverError(f"cannot delete {folder}: {left}; delete it by hand") from left

    async def _clean(self, folder: Path) -> None:
        """Have removed what is left in an engine and in stores, and unmounted what is mounted.

        Only the agent's code knows how.
        """
        cleaning = await asyncio.create_subprocess_exec(
            *_AGENT,
            "--clean",
            str(folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(_CLEAN_SECONDS):
                said = (await cleaning.communicate())[1]
        except TimeoutError as error:
            cleaning.kill()
            await cleaning.wait()
            raise DriverError(f"what {folder} left is not removed in time") from error
        if cleaning.returncode:
            why = said.decode(errors="replace").strip()
            raise DriverError(f"what {folder} left cannot be removed: {why}")

    def get_ready(self) -> None:
        """Have an agent ready for the next launch."""
        self._spare.prepare()

    def close(self) -> None:
        """Let the spare agent go; nodes live on."""
        if self._warming is not None:
            self._warming.cancel()
        self._spare.close()

    def _warm_up_later(self) -> None:
        """Prepare the next spare once the job just launched has had the processor to itself."""
        if self._warming is not None:
            self._warming.cancel()
        loop = asyncio.get_running_loop()
        self._warming = loop.call_later(_WARM_UP_SECONDS, self._spare.prepare)

    def _lives(self, folder: Path) -> bool:
        """Tell whether an agent works on the folder, or was just started to."""
        for node_id, child in list(self._children.items()):
            if child.ended():
                del self._children[node_id]
        return folder.name in self._children or _locked(folder)


def _locked(folder: Path) -> bool:
    try:
        with (folder / "agent.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _agent_pid(folder: Path) -> int | None:
    """Return the pid of the living agent; None when there is none or it has not said yet."""
    if not _locked(folder):
        return None
    words = (folder / "agent.lock").read_text().split()
    return int(words[0]) if words else None


def _signal_agent(folder: Path, number: int) -> None:
    """Send a signal to the folder's living agent, and to nobody who got its number since."""
    pid = _agent_pid(folder)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            # It holds the lock still, so it is who was opened.
            if _agent_pid(folder) == pid:
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def _note_wish(path: Path, wish: str, *, anew: bool = True) -> None:
    """Write a wish to stop in place of another: a job that fills the disk must be stoppable.

    ``anew`` is whether to replace one that stands there.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if anew or not os.fstat(descriptor).st_size:
            os.pwrite(descriptor, wish.encode(), 0)
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    """Write a file that holds either its old content or the new, readable by the owner only."""
    temporary = path.with_name(path.name + ".new")
    with open(temporary, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text)
    temporary.replace(path)


def _delete(folder: Path) -> OSError | None:
    """Delete a folder, also where a job took its own rights away; return what stands against it."""
    # A folder is opened up before it is listed. A link may lead anywhere, and is left as it is.
    for parent, folders, _ in os.walk(folder):
        for path in (Path(parent, name) for name in folders):
            with contextlib.suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        return error if folder.exists() else None
    return None
