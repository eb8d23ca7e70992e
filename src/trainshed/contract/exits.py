"""How a container's end reads: exit codes, signal names, and the words of ``FailureReason``.

The service says ``AlgorithmError: <failure file>, exit code: N``. What users miss there is why:
so the last line of the traceback, the signal's name, or the want of memory stand in it.

Sources: Amazon SageMaker developer guide, "How Amazon SageMaker Processes Training Output"; the
service model (FailureReason, at most 1024 characters); published job logs.
"""

from __future__ import annotations

import re
import signal
from typing import Final

LIMIT: Final = 1024
"""Most characters of a FailureReason."""

TRACEBACK_HEADER: Final = "Traceback (most recent call last):"
_GROUP_HEADER: Final = "Exception Group " + TRACEBACK_HEADER
_EXCEPTION: Final = re.compile(
    r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Iteration)(?::\s.*)?"
)
"""An exception's own line, for tracebacks whose beginning is lost or that have none."""
_LAST_LINE: Final = 200
"""Characters of a line of stderr that is no known form of error."""
_NO_SPACE: Final = "No space left on device"
"""What every program says of a write for which there is no room. Source: ENOSPC of errno(3)."""
_NO_TRAIN: Final = re.compile(r"""\btrain["']?: (?:executable file )?not found""")
"""What an engine, or a shell that hands its arguments on, says of an image without ``train``."""
_NO_INTERPRETER: Final = re.compile(
    r"(?:standard_init_linux\.go:\d+: )?exec (?:user process caused|[^\s:\"]+): \"?no such file"
)
"""What a container says whose command the kernel looked at: it is there, what runs it is not."""
_RECENT: Final = 4096
"""Characters of stderr in which the reason of an end is looked for."""
_GAP: Final = " [...] "


def exit_code_of(returncode: int) -> int:
    """Return the code 0-255 that a shell shows: death by signal n (-n) reads 128 + n."""
    return 128 - returncode if returncode < 0 else returncode


def signal_of(exit_code: int) -> signal.Signals | None:
    """Return the signal that an exit code stands for, or None."""
    try:
        return signal.Signals(exit_code - 128) if exit_code > 128 else None
    except ValueError:
        return None


def killed_by(exit_code: int) -> str:
    """Return ``killed by signal SIGSEGV (11)``, or "" when no signal ended it."""
    found = signal_of(exit_code)
    return f"killed by signal {found.name} ({int(found)})" if found else ""


def traceback_in(text: str) -> str:
    """Return the last Python traceback of ``text``, without any margin; "" when there is none.

    What Python prints while it shuts down ("Exception ignored in") is passed over: it is never
    why a program failed. Margins such as ``[rank0]:`` and those of exception groups are cut off.
    """
    lines = text.splitlines()
    for start in range(len(lines) - 1, -1, -1):
        column = _header_column(lines[start])
        if column >= 0 and not (start and "Exception ignored in" in lines[start - 1]):
            return "\n".join(_traceback_lines(lines[start:], column))
    return ""


def last_traceback_line(text: str) -> str:
    """Return the line that names the exception, such as ``ValueError: bad data``; "" if none."""
    found = traceback_in(text).splitlines()
    if len(found) > 1 and not found[-1][:1].isspace():
        return found[-1].strip()
    for line in reversed(text.splitlines()):
        if _EXCEPTION.fullmatch(line.strip()):
            return line.strip()
    return ""


def failure_reason(
    exit_code: int, failure_text: str, stderr_tail: str, oom: bool, disk_full: bool = False
) -> str:
    """Return why a container failed, in at most 1024 characters.

    What the container said last on stderr speaks where nothing else does: ``sys.exit("no data")``
    and shells leave no more than that line.

    When the text is too long its middle goes: the cause and the exit code stay.

    Args:
        exit_code: 1-255.
        failure_text: what stood in ``output/failure``; "" without one.
        stderr_tail: the last of what the container wrote to stderr.
        oom: whether the kernel killed it for want of memory.
        disk_full: whether the disk that it wrote to has no room left.
    """
    said = failure_text.strip()
    error = last_traceback_line(said) or last_traceback_line(stderr_tail)
    cause = cause_of(exit_code, stderr_tail, oom, disk_full)
    text = said or error or ("" if cause else last_line(stderr_tail)[:_LAST_LINE])
    if cause and cause not in text:
        text = f"{text}, {cause}" if text else cause
    end = f", exit code: {exit_code}"
    room = LIMIT - len("AlgorithmError: ") - len(end)
    must = ", ".join(part for part in (error, cause) if part)
    return f"AlgorithmError: {shortened(text, room, must)}{end}"


def tells_of_no_room(stderr_tail: str) -> bool:
    """Tell whether the last that a container wrote to stderr names a write without room."""
    return _NO_SPACE in stderr_tail[-_RECENT:]


def cause_of(exit_code: int, stderr_tail: str, oom: bool, disk_full: bool = False) -> str:
    """Return what the exit code tells beyond its number, and what to do; "" when nothing."""
    if oom:
        return (
            "out of memory: the kernel killed the container; "
            "use an instance type with more memory, or a smaller batch"
        )
    if disk_full:
        return "the machine's disk is full; make room there, or write less"
    if tells_of_no_room(stderr_tail):
        return (
            "there was no room left on what it wrote to: make room on the machine's disks, or, if "
            "that was /dev/shm, ask for a larger one (the tag trainshed:shm-size)"
        )
    killed = killed_by(exit_code)
    if killed and exit_code == 128 + signal.SIGKILL:
        return f"{killed}; if nobody stopped it, the machine may have run out of memory"
    if killed or exit_code not in {126, 127}:
        return killed
    last = last_line(stderr_tail)[:_LAST_LINE]
    return _not_run(exit_code, last)


def _not_run(exit_code: int, last: str) -> str:
    """Return why a command never ran, and what to do where its last words leave that open."""
    words = "is not executable" if exit_code == 126 else "was not found"
    todo = ""
    if "exec format error" in last.lower():
        words = "cannot be run"
        todo = "it is built for another processor, or is a script that does not begin with #!"
    elif _NO_INTERPRETER.match(last):
        todo = (
            "if it is there: the interpreter that its first line names is not, or the line ends as "
            "on Windows"
        )
    elif _NO_TRAIN.search(last):
        todo = (
            "the image is started with the argument train, so its ENTRYPOINT takes that, or train "
            "is a program on its PATH, or ContainerEntrypoint names another"
        )
    return (
        f"the entrypoint {words}" + (f" ({last})" if last else "") + (f"; {todo}" if todo else "")
    )


def last_line(text: str) -> str:
    """Return the last line that is not blank, without blanks around it; "" when there is none."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def shortened(text: str, room: int, must: str = "") -> str:
    """Return ``text`` in at most ``room`` characters; if it is cut, it ends in ``must``."""
    if len(text) <= room:
        return text
    kept = must[: room - len(_GAP)]
    return text[: room - len(_GAP) - len(kept)] + _GAP + kept


def _header_column(line: str) -> int:
    column = line.find(_GROUP_HEADER)
    return column if column >= 0 else line.find(TRACEBACK_HEADER)


def _traceback_lines(lines: list[str], column: int) -> list[str]:
    """Cut the margin off, and stop after the exception's own line."""
    found = [lines[0][column:]]
    before = lines[0][:column]
    # Other words may stand before it on its line (ErrorMessage "Traceback ...): no margin then.
    margin = column if not before.strip(" |+") or "\n".join(lines[1:2]).startswith(before) else 0
    for line in lines[1:]:
        body = line[margin:]
        if not body.strip():
            continue
        found.append(body)
        if not body[0].isspace():
            break
    if before.endswith('"') and found[-1].endswith('"'):
        found[-1] = found[-1][:-1]
    return found
