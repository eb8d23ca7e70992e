"""A real operator as a process of its own, for tests that have a cluster."""

import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trainshed.testing.faults.plan import Plan

_BEGIN_SECONDS: Final = 30
_END_SECONDS: Final = 30
_STEP: Final = 0.05


class OperatorProcess:
    """``python -m trainshed.operator``, or one that dies by a plan. Use it as a context."""

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        plan: Plan | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            folder: gets what it says on stderr, made when missing.
            arguments: further ones; addresses for probes and metrics are picked.
            environment: all of its environment; KUBECONFIG says which cluster.
            plan: what it dies of.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "operator.log"
        self._noted = folder / "struck"
        self._arguments = tuple(arguments)
        self._environment = dict(environment)
        self._plan = plan
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.lives = 0
        """How often it was started."""

    def __enter__(self) -> "OperatorProcess":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.stop()

    def another(self, folder: Path) -> "OperatorProcess":
        """Return a further one that is told the same, not started."""
        return OperatorProcess(folder, self._arguments, self._environment, self._plan)

    def start(self) -> "OperatorProcess":
        """Start a further life; return once it is ready, or is over already by its plan.

        Raises:
            AssertionError: it is neither in time; the message has what it said.
        """
        self.lives += 1
        self._port = _free_port()
        with self._log.open("ab") as said:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stderr=said, env=self._environment
            )
        pause = threading.Event()
        for _ in range(int(_BEGIN_SECONDS / _STEP)):
            if not self.running or self._answers("/readyz"):
                return self
            pause.wait(_STEP)
        raise AssertionError(f"no operator is ready:\n{self.said()}")

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """Return what it has written to stderr, over all its lives."""
        return self._log.read_text()

    def struck(self) -> list[str]:
        """Return the faults that happened, in order."""
        if not self._noted.exists():
            return []
        return [line.partition(" ")[2] for line in self._noted.read_text().splitlines()]

    def metrics(self) -> str:
        """Return what it tells Prometheus."""
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=5) as answer:  # noqa: S310
            text: bytes = answer.read()
        return text.decode()

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _command(self) -> list[str]:
        program = [sys.executable, "-m", "trainshed.operator"]
        if self._plan is not None:
            program[-1] = "trainshed.testing.faulty_operator"
            program += ["--faults", str(self._plan), "--life", str(self.lives)]
            program += ["--noted", str(self._noted)]
        address = f"127.0.0.1:{self._port}"
        return [*program, "--metrics-addr", address, "--health-addr", address, *self._arguments]

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self._url + path, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(_END_SECONDS)


def _free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        return int(asking.getsockname()[1])
