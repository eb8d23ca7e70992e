"""Script mode: how hyperparameters become a script's arguments.

A job is in script mode when its hyperparameters name a program. The SDK sends each value as JSON
(a text arrives in quotes), plain API callers send it raw; both are read the same way here.

Source: the behaviour of Amazon's ``sagemaker-training`` package, held to by a differential test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

PREFIX: Final = "sagemaker_"
"""Hyperparameters that begin so are never the script's."""
PROGRAM: Final = "sagemaker_program"
SUBMIT_DIRECTORY: Final = "sagemaker_submit_directory"
LOG_LEVEL: Final = "sagemaker_container_log_level"
REGION: Final = "sagemaker_region"
JOB_NAME: Final = "sagemaker_job_name"
DISTRIBUTION_GROUPS: Final = "sagemaker_distribution_instance_groups"

OWN: Final = frozenset(
    {
        PROGRAM,
        SUBMIT_DIRECTORY,
        LOG_LEVEL,
        REGION,
        JOB_NAME,
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_s3_output",
        "default_user_module_name",
        "_tuning_objective_metric",
    }
)
"""The toolkit's own; every other key with the prefix is a framework parameter."""

LAUNCHERS: Final = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)
"""Framework parameters that ask for a launcher of several processes."""

SOURCE_ARCHIVE_VARIABLE: Final = "TRAINSHED_SOURCE_ARCHIVE"
"""Platform to toolkit: where the fetched ``sagemaker_submit_directory`` archive lies."""
PYTHON_VARIABLE: Final = "TRAINSHED_PYTHON"
"""Platform to toolkit: the interpreter (absolute path) that runs the user's script."""
ENVIRONMENTS_VARIABLE: Final = "TRAINSHED_ENVIRONMENTS"
"""Platform to toolkit: the folder for virtual environments, where the interpreter is not ours."""


def read_value(text: object) -> object:
    """Return what a hyperparameter's text means: its JSON value, or itself if it is no JSON."""
    try:
        return json.loads(text)  # type: ignore[arg-type] # whatever it is, it is read or kept
    except (ValueError, TypeError, RecursionError):
        return text


def read(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return every hyperparameter with its value read."""
    return {key: read_value(text) for key, text in hyperparameters.items()}


def for_script(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that reach the user's script."""
    return {k: v for k, v in values.items() if k not in OWN and not k.startswith(PREFIX)}


def for_framework(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the framework parameters: what ``SM_FRAMEWORK_PARAMS`` holds."""
    return {k: v for k, v in values.items() if k.startswith(PREFIX) and k not in OWN}


def launchers_asked_for(values: Mapping[str, Any]) -> list[str]:
    """Return the names of the launchers that are switched on."""
    return [name for name in LAUNCHERS if values.get(name)]


def arguments(values: Mapping[str, Any]) -> list[str]:
    """Return a script's arguments: ``--key value`` sorted by key, ``-k value`` for one letter.

    A dict reads ``a=1,b=2``, None an empty text, everything else as Python prints it.
    """
    return list(_flatten((_flag(key), _text(values[key])) for key in sorted(values)))


def is_script_mode(hyperparameters: Mapping[str, str], environment: Mapping[str, str]) -> bool:
    """Tell whether a job names a program for the toolkit to run.

    Args:
        hyperparameters: as in the request, values not read.
        environment: ``Environment`` of the request.
    """
    return bool(hyperparameters.get(PROGRAM) or environment.get(PROGRAM.upper()))


def _flag(key: str) -> str:
    if not key:
        return ""
    return f"--{key}" if len(key) > 1 else f"-{key}"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in sorted(value.items()))
    return str(value)


def _flatten(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    for flag, text in pairs:
        yield flag
        yield text
