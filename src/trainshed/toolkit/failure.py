"""Why a job failed, in the words and the file that the platform reads.

Source: the form of Amazon's ``sagemaker-training`` package, which people search their logs for.
"""

from __future__ import annotations

from trainshed.contract import exits
from trainshed.contract.tree import Tree

_ROOM = exits.LIMIT - len("AlgorithmError: , exit code: 255")
"""What of a failure file reaches ``FailureReason`` whole."""
_COMMAND_ROOM = 240


class ToolkitError(Exception):
    """The user's script was not started; the text goes to the log and the failure file."""


class StepFailed(ToolkitError):
    """A program that one of our own steps ran has failed."""

    def __init__(self, kind: str, exit_code: int, stderr: str, command: list[str]) -> None:
        last = "\n".join(stderr.strip().splitlines()[-12:])
        # The end of what an installer says is what matters, so the beginning is cut.
        message = last[-(_ROOM - _COMMAND_ROOM - 120) :]
        super().__init__(_form(kind, exit_code, message, "", command))
        self.exit_code = exit_code


def script_failure(exit_code: int, stderr_tail: str, command: list[str], who: str = "") -> str:
    """Return the failure text of a script that ran: its traceback, the end first to be kept.

    Args:
        exit_code: 1-255.
        stderr_tail: the last of what it wrote to stderr.
        command: its command line.
        who: where there are several processes, which of them failed.
    """
    trace = exits.traceback_in(stderr_tail)
    message = trace or "\n".join(stderr_tail.strip().splitlines()[-10:])
    killed = exits.cause_of(exit_code, "", False) if exits.killed_by(exit_code) else ""
    extra = "; ".join(part for part in (who, killed) if part)
    kind = "ExecuteUserScriptError"
    fixed = len(_form(kind, exit_code, "", extra, command))
    must = exits.last_traceback_line(stderr_tail)
    short = exits.shortened(message, max(_ROOM - fixed, 0), must)
    return _form(kind, exit_code, short, extra, command)


def write_failure(tree: Tree, text: str) -> None:
    """Write ``output/failure`` unless the script wrote its own."""
    tree.output.mkdir(parents=True, exist_ok=True)
    try:
        with tree.failure.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except FileExistsError:
        pass


def write_success(tree: Tree) -> None:
    """Write the empty ``output/success``."""
    tree.output.mkdir(parents=True, exist_ok=True)
    tree.success.touch()


def _form(kind: str, exit_code: int, message: str, extra: str, command: list[str]) -> str:
    lines = [f"{kind}:", f"ExitCode {exit_code}", f'ErrorMessage "{message}"']
    if extra:
        lines.append(f'ExtraInfo "{extra}"')
    lines.append(f'Command "{exits.shortened(" ".join(command), _COMMAND_ROOM)}"')
    return "\n".join(lines)
