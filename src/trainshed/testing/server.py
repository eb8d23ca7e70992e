"""A real server, as a process of its own on a data directory of its own, for tests that use it.

What it promises beyond ``trainshed up``: it can be killed and started again, and ``remains`` tells
what is still alive of its jobs.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

TRAINSHED = Path(sys.executable).with_name("trainshed")
"""The command, as it is installed beside this interpreter."""
_END_SECONDS = 30


class Server:
    """``trainshed up`` on a free port. Use it as a context, or start and stop it by hand."""

    def __init__(
        self,
        data: Path,
        settings: str = "",
        within: Sequence[str] = (),
        shared: Path | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """Serve ``data``, made when missing.

        Args:
            data: the data directory.
            settings: what stands in trainshed.toml.
            within: a command before the server's own, such as a sandbox with a small disk.
            shared: the folder that the settings have several servers share.
            host: where it listens, besides loopback.
        """
        self.data = data
        self.shared = shared or data
        self._within = within
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if settings:
            (data / "trainshed.toml").write_text(settings)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.stop()

    def start(self, port: int = 0) -> "Server":
        """Return when it says that it is ready; fail with what it says on stderr if it ends.

        ``port`` 0 is the one it had last, or any free one.
        """
        where = ["--host", self._host, "--port", str(port), "--data-dir", str(self.data)]
        ready = self._begin([TRAINSHED, "up", *where])
        if not ready:
            self.kill()
        assert ready, self.said()
        return self

    def _begin(self, command: Sequence[str | Path]) -> bool:
        """Return whether the process that the command starts says that it is ready."""
        with (self.data / "stderr.log").open("ab") as said:
            self._process = subprocess.Popen(
                [*self._within, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
            )
        assert self._process.stdout is not None
        return b"  ready  http://" in self._process.stdout.readline()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        """Where it answers, or did last."""
        return f"http://127.0.0.1:{(self.shared / 'port').read_text()}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for sockets."""
        return "127.0.0.1", int((self.shared / "port").read_text())

    @property
    def keys(self) -> tuple[str, str]:
        """Access key and secret key."""
        kept = json.loads((self.data / "credentials.json").read_text())
        return kept["access_key"], kept["secret_key"]

    def said(self) -> str:
        """Return what it has written to stderr, over all its starts."""
        return (self.data / "stderr.log").read_text()

    def exported(self) -> dict[str, str]:
        """Return the environment after ``eval "$(trainshed aws-env)"``, as a shell makes it."""
        command = (
            f'eval "$({TRAINSHED} aws-env --data-dir {shlex.quote(str(self.data))})" && env -0'
        )
        told = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
        pairs = (line.split("=", 1) for line in told.stdout.decode().split("\0") if line)
        return dict(pairs)

    def stop(self) -> None:
        """Ask it to end, and wait until it has; jobs go on."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does; jobs go on."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Have it stand still, as a machine does that is out of breath."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on as if nothing had been."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def agents(self) -> dict[str, int]:
        """Return the pid of each living node's agent, by node id."""
        found = {}
        for lock in self.shared.glob("nodes/*/agent.lock"):
            words = lock.read_text().split()
            if words and _holds(int(words[0]), lock):
                found[lock.parent.name] = int(words[0])
        return found

    def remains(self) -> list[str]:
        """Return what is left of jobs: node folders, and processes that work in one."""
        folders = [str(path) for path in self.shared.glob("nodes/*")]
        return folders + [f"process {pid}" for pid in _working_below(self.shared / "nodes")]

    def _end(self, number: int) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(number)
        self._process.wait(_END_SECONDS)
        self._process.stdout.close()


def _working_below(folder: Path) -> Iterable[int]:
    """Yield processes that hold a file below ``folder``, or have it in their mounts."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _touches(entry, str(folder)):
            yield int(entry.name)


def _touches(process: Path, folder: str) -> bool:
    try:
        if folder in (process / "mountinfo").read_text():
            return True
        return any(os.readlink(fd).startswith(folder) for fd in (process / "fd").iterdir())  # noqa: PTH115
    except OSError:  # it ended meanwhile
        return False


def _holds(pid: int, lock: Path) -> bool:
    try:
        return any(os.readlink(fd) == str(lock) for fd in Path(f"/proc/{pid}/fd").iterdir())  # noqa: PTH115
    except OSError:
        return False
