"""Runs a user's script as a training job: source, requirements, variables, the script, the end.

Nothing is said in the log while all goes its usual way: the log is the script's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from trainshed.contract import script_mode
from trainshed.contract.tree import BASE, Tree
from trainshed.toolkit import entry_point, failure, source
from trainshed.toolkit.child import Children
from trainshed.toolkit.environment import TrainingEnvironment
from trainshed.toolkit.failure import StepFailed, ToolkitError
from trainshed.toolkit.launchers.choice import choose
from trainshed.toolkit.launchers.job import Job

_PARTS: Final = {"rsh": "rsh", "mpi-worker": "worker"}
"""Programs of the MPI launcher, which starts this file again as these."""


def main(words: list[str]) -> int:
    """Run the job below ``SAGEMAKER_BASE_DIR`` (default /opt/ml); return the exit code.

    Args:
        words: the command line without the program: ``train``, or nothing, which is what remains
            of ``docker run image train`` where this file is itself the program ``train``.
    """
    if words and words[0] in _PARTS:
        part = import_module(f"trainshed.toolkit.launchers.{_PARTS[words[0]]}")
        return int(part.main(words[1:]))
    if words not in ([], ["train"]):
        print(
            f"trainshed: {' '.join(words)!r} was asked of the training toolkit, which runs "
            "training jobs only (usage: train); other programs must be in the image",
            file=sys.stderr,
        )
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
    launch = choose(training.framework_parameters, training.facts)
    python = _interpreter(variables)
    ours = script_mode.PLATFORM_VARIABLES
    platform = {name: value for name, value in variables.items() if name in ours}
    variables = {name: value for name, value in variables.items() if name not in ours}
    fetched = platform.get(script_mode.SOURCE_ARCHIVE_VARIABLE)
    environments = platform.get(script_mode.ENVIRONMENTS_VARIABLE)
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
    if (
        script_mode.PYTHON_VARIABLE in platform or used != python
    ):  # then the script's own ``python`` and tools are that one's
        variables["PATH"] = _first(os.path.dirname(used), variables.get("PATH", os.defpath))  # noqa: PTH120
    told = training.to_variables()
    variables.update(told)
    variables["PYTHONPATH"] = _first(str(tree.code), variables.get("PYTHONPATH", ""))
    variables.setdefault("PYTHONUNBUFFERED", "1")
    finished = launch(
        Job(
            tree=tree,
            program=program,
            kind=kind,
            python=used,
            arguments=training.arguments,
            variables=variables,
            told=list(told),
            facts=training.facts,
            parameters=training.framework_parameters,
            platform=platform,
            children=children,
        )
    )
    if finished.exit_code:
        failure.write_failure(tree, finished.failure)
    else:
        failure.write_success(tree)
    return finished.exit_code


def _interpreter(variables: Mapping[str, str]) -> str:
    named = variables.get(script_mode.PYTHON_VARIABLE)
    if named and not (os.path.isabs(named) and os.access(named, os.X_OK)):  # noqa: PTH117
        raise ToolkitError(
            f"{script_mode.PYTHON_VARIABLE} is {named}, which is not an executable's absolute path"
        )
    return named or sys.executable


def _first(folder: str, others: str) -> str:
    return f"{folder}{os.pathsep}{others}" if others else folder
