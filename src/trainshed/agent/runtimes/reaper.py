"""Holds a container's processes together where no PID namespace can.

Started by the agent between itself and the command: ``reaper.py <control> <status> <announce> --
command…``. It adopts every process that loses its parent, and when the command ends, or the agent
closes the control pipe (or dies), it kills them all. Told and telling by file descriptors: one
JSON object a line on ``status``, as bubblewrap writes them. Standard library only, and run by path.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys

_SUBREAPER, _DEATH_SIGNAL = 36, 1  # PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG of <sys/prctl.h>


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code, once nothing of it is left."""
    control, status, announce = (int(each) for each in arguments[:3])
    command = arguments[4:]
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    # bubblewrap tells there; a bare command must not find it, nor forge its own end.
    os.set_inheritable(status, not announce)
    child = _start(libc, command, control)
    if announce:
        _tell(status, {"child-pid": child})
    code = None
    while code is None:
        if control in select.select([control, wake], [], [])[0]:
            break
        os.read(wake, 4096)
        code = _reap(child)
    code = _kill_all(child, code)
    if announce:
        _tell(status, {"exit-code": code})
    return code


def _start(libc: ctypes.CDLL, command: list[str], control: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        os.setpgid(0, 0)
        os.close(control)
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(each, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(126 if isinstance(error, PermissionError) else 127)


def _reap(child: int) -> int | None:
    """Collect everybody who ended; return the command's exit code if it is among them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            if pid == child:
                code = _code(status)
    return code


def _kill_all(child: int, code: int | None) -> int:
    """Kill until no descendant is left; return the command's exit code."""
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return 128 + signal.SIGKILL if code is None else code
        if pid == child:
            code = _code(status)


def _children() -> list[int]:
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - quicker to load than pathlib
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.append(int(name))
    return found


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _tell(status: int, what: dict[str, int]) -> None:
    with contextlib.suppress(OSError):
        os.write(status, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
