"""Runs a user's script as a training job: source, requirements, variables, the script, the end.

Nothing is said in the log while all goes its usual way: the log is the script's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from trainshed.contract import script_mode
from trainshed.contract.tree import BASE, Tree
from trainshed.toolkit import entry_point, failure, source
from trainshed.toolkit.child import Children
from trainshed.toolkit.environment import TrainingEnvironment, passable
from trainshed.toolkit.failure import StepFailed, ToolkitError

_OURS = frozenset(
    {
        script_mode.SOURCE_ARCHIVE_VARIABLE,
        script_mode.PYTHON_VARIABLE,
        script_mode.ENVIRONMENTS_VARIABLE,
    }
)


def main(words: list[str]) -> int:
    """Run the job below ``SAGEMAKER_BASE_DIR`` (default /opt/ml); return the exit code.

    Args:
        words: the command line without the program: ``["train"]``.
    """
    if words != ["train"]:
        print(f"usage: python <toolkit> train (found: {' '.join(words)!r})", file=sys.stderr)
        return 2
    children = Children()
    tree = Tree(Path(os.environ.get("SAGEMAKER_BASE_DIR", BASE)))
    try:
        return _train(tree, dict(os.environ), children)
    except ToolkitError as error:
        text, code = str(error), error.exit_code if isinstance(error, StepFailed) else 1
    except Exception as error:  # noqa: BLE001 - the outermost loop: every end has its reason
        import traceback  # noqa: PLC0415 - 9 ms of start-up that a good job does not need

        text, code = f"Framework Error: \n{traceback.format_exc()}\n{error}", 1
    print(text, file=sys.stderr, flush=True)
    failure.write_failure(tree, text)
    return code


def _train(tree: Tree, variables: dict[str, str], children: Children) -> int:
    training = TrainingEnvironment(tree, variables)
    _refuse_launchers(training)
    python = _interpreter(variables)
    chosen = script_mode.PYTHON_VARIABLE in variables
    fetched = variables.get(script_mode.SOURCE_ARCHIVE_VARIABLE)
    environments = variables.get(script_mode.ENVIRONMENTS_VARIABLE)
    variables = {name: value for name, value in variables.items() if name not in _OURS}
    source.prepare(training.submit_directory, tree.code, fetched)
    program = "" if training.program is None else str(training.program)
    kind = entry_point.kind_of(program, tree.code)
    entry_point.check(program, kind, tree.code)
    if kind is entry_point.Kind.SHELL:
        entry_point.make_executable(tree.code / program)
    used = python
    if entry_point.wants_installing(kind, tree.code):
        from trainshed.toolkit.requirements import Installer  # noqa: PLC0415 - 4 ms, seldom used

        installer = Installer(children, python, variables)
        used = installer.install(kind, tree.code, environments, tree.base / "environment")
    if chosen or used != python:  # then the script's own ``python`` and tools are that one's
        variables["PATH"] = _first(os.path.dirname(used), variables.get("PATH", os.defpath))  # noqa: PTH120
    variables.update(training.to_variables())
    variables["PYTHONPATH"] = _first(str(tree.code), variables.get("PYTHONPATH", ""))
    variables.setdefault("PYTHONUNBUFFERED", "1")
    command = entry_point.command(program, kind, used, training.arguments)
    return _run_script(tree, children, command, variables)


def _run_script(
    tree: Tree, children: Children, command: list[str], variables: Mapping[str, str]
) -> int:
    try:
        passed, notes = passable(variables)
        for note in notes:
            print(f"trainshed: {note}", flush=True)
        ended = children.run(command, passed, str(tree.code))
    except (OSError, ValueError) as error:
        raise ToolkitError(f"{' '.join(command)[:300]} cannot be started: {error}") from error
    if ended.exit_code:
        text = failure.script_failure(ended.exit_code, ended.stderr_tail, command)
        failure.write_failure(tree, text)
    else:
        failure.write_success(tree)
    return ended.exit_code


def _refuse_launchers(training: TrainingEnvironment) -> None:
    asked = script_mode.launchers_asked_for(training.framework_parameters)
    if asked:
        raise ToolkitError(
            f"{', '.join(asked)} asks for a launcher of several processes, which this runtime "
            "does not offer; running one process instead would not be what was asked. Use an "
            "image with its own launcher, or start the processes from the script"
        )


def _interpreter(variables: Mapping[str, str]) -> str:
    named = variables.get(script_mode.PYTHON_VARIABLE)
    if named and not (os.path.isabs(named) and os.access(named, os.X_OK)):  # noqa: PTH117
        raise ToolkitError(
            f"{script_mode.PYTHON_VARIABLE} is {named}, which is not an executable's absolute path"
        )
    return named or sys.executable


def _first(folder: str, others: str) -> str:
    return f"{folder}{os.pathsep}{others}" if others else folder
