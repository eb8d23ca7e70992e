"""``keeping.py [root]``: has an agent beside the user's container, for as long as one is needed.

The kubelet starts no container of such a pod a second time. So this program does: an agent that
dies, by whatever, is started over its journal. It is small, and has nothing to die of: it loads
nothing but the standard library, and is run by path.
"""

import ctypes
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Final, NoReturn

AGAIN: Final = 75
"""Exit code of an agent that could not tell all: start it over, for as long as it takes."""
NOT_OURS: Final = 3
"""Exit code of an agent whose node is not this pod's, or not any more."""
_SET_DUMPABLE: Final = 4
"""PR_SET_DUMPABLE of <sys/prctl.h>."""
_TRIES: Final = 10
_CALM_S: Final = 600.0
"""An agent that lived so long died of something new."""
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0


def main(root: Path) -> int:
    """Keep an agent until its work is done; return 0 then, or how the last one ended."""
    hide()
    keeper = Keeper(root)
    signal.signal(signal.SIGTERM, keeper.pass_on)
    failures, wait = 0, _FIRST_WAIT_S
    while True:
        began = time.monotonic()
        code = keeper.run()
        if code in {0, NOT_OURS}:
            return code
        lived = time.monotonic() - began
        failures = 1 if lived > _CALM_S else failures + 1
        wait = _FIRST_WAIT_S if lived > _CALM_S else min(wait * 2, _LONGEST_WAIT_S)
        if code != AGAIN:
            said = f"the agent has died {failures} times, the last time with {code}"
            sys.stderr.write(f"{said}\n")
            if failures > _TRIES:
                _say_last(root, said)
                return 1
        time.sleep(wait)


def hide() -> None:
    """Keep this process's secrets from the user's program, which sees it and may be root.

    A process that may not be dumped is closed: nobody reads its environment, its memory or its
    files through ``/proc`` but who has CAP_SYS_PTRACE, which containers have not. Each program that
    it turns into must do so again.
    """
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


class Keeper:
    """One agent after the other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._child = 0
        self._told = False

    def run(self) -> int:
        """Run an agent to its end; return its exit code, or the signal that ended it, negative."""
        # It hears of a signal when it can: one that comes before would be its end.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        self._child = os.fork() or _be_agent(self._root)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        if self._told:
            os.kill(self._child, signal.SIGTERM)
        while True:
            # Those whose starter has died may be ours, where nobody else takes them.
            pid, status = os.waitpid(-1, 0)
            if pid == self._child:
                self._child = 0
                return os.waitstatus_to_exitcode(status)

    def pass_on(self, *_: object) -> None:
        """Have the agent know that the kubelet ends the pod; fit to be a signal handler."""
        self._told = True
        if self._child:
            os.kill(self._child, signal.SIGTERM)


def _be_agent(root: Path) -> NoReturn:
    """Go on as an agent: another program would be open to others until it has closed itself."""
    code = 1
    try:
        from trainshed.agent.__main__ import main as agent  # noqa: PLC0415 - of the agent alone

        code = agent(["--beside", str(root)])
    except Exception:  # noqa: BLE001 - the outermost: nothing of the keeper's is left here
        traceback.print_exc()
    finally:
        os._exit(code)


def _say_last(root: Path, text: str) -> None:
    """Say it where the kubelet looks for a container's last words."""
    place = root / "dev" / "termination-log"
    if place.exists():
        place.write_text(text)


if __name__ == "__main__":
    sys.exit(main(Path(*sys.argv[1:2] or ["/"])))
