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
S3_OUTPUT: Final = "sagemaker_s3_output"
"""Where output/intermediate is kept while the job runs."""
DISTRIBUTION_GROUPS: Final = "sagemaker_distribution_instance_groups"

OWN: Final = frozenset(
    {
        PROGRAM,
        SUBMIT_DIRECTORY,
        LOG_LEVEL,
        REGION,
        JOB_NAME,
        "sagemaker_enable_cloudwatch_metrics",
        S3_OUTPUT,
        "default_user_module_name",
        "_tuning_objective_metric",
    }
)
"""The toolkit's own; every other key with the prefix is a framework parameter."""

MPI: Final = "sagemaker_mpi_enabled"
MPI_PROCESSES_PER_HOST: Final = "sagemaker_mpi_num_of_processes_per_host"
MPI_PROCESSES: Final = "sagemaker_mpi_num_processes"
MPI_OPTIONS: Final = "sagemaker_mpi_custom_mpi_options"
TORCH_DISTRIBUTED: Final = "sagemaker_torch_distributed_enabled"
PYTORCH_DDP: Final = "sagemaker_pytorch_ddp_enabled"
DATA_PARALLEL: Final = "sagemaker_distributed_dataparallel_enabled"
PARAMETER_SERVER: Final = "sagemaker_parameter_server_enabled"
MULTI_WORKER_MIRRORED: Final = "sagemaker_multi_worker_mirrored_strategy_enabled"
PYTORCH_XLA: Final = "sagemaker_pytorch_xla_multi_worker_enabled"

LAUNCHERS: Final = (
    MPI,
    PARAMETER_SERVER,
    DATA_PARALLEL,
    PYTORCH_DDP,
    PYTORCH_XLA,
    MULTI_WORKER_MIRRORED,
    TORCH_DISTRIBUTED,
)
"""Framework parameters that ask for a launcher of several processes."""

SOURCE_ARCHIVE_VARIABLE: Final = "TRAINSHED_SOURCE_ARCHIVE"
"""Platform to toolkit: where the fetched ``sagemaker_submit_directory`` archive lies."""
PYTHON_VARIABLE: Final = "TRAINSHED_PYTHON"
"""Platform to toolkit: the interpreter (absolute path) that runs the user's script."""
ENVIRONMENTS_VARIABLE: Final = "TRAINSHED_ENVIRONMENTS"
"""Platform to toolkit: the folder for virtual environments, where the interpreter is not ours."""
MPI_SECRET_VARIABLE: Final = "TRAINSHED_MPI_SECRET"  # noqa: S105 - its name
"""Platform to toolkit: what the hosts of one attempt know and nobody else does.

At least 32 characters, the same on every host of an attempt and another one for every attempt. It
is needed where ``needs_secret`` says so: with it ``mpirun`` proves itself to the other hosts.
"""
MPI_PORT: Final = 7788
"""Where the hosts of an MPI job listen for ``mpirun`` (on loopback, another one)."""
RENDEZVOUS_PORT: Final = 7777
"""Where the first host's program listens: ``MASTER_PORT``."""
PLATFORM_VARIABLES: Final = frozenset(
    {SOURCE_ARCHIVE_VARIABLE, PYTHON_VARIABLE, ENVIRONMENTS_VARIABLE, MPI_SECRET_VARIABLE}
)
"""The platform's words to the toolkit; the user's script is not told them."""


def read_value(text: object) -> object:
    """Return what a hyperparameter's text means: its JSON value, or itself if it is no JSON."""
    try:
        return json.loads(text)  # type: ignore[arg-type] # whatever it is, it is read or kept
    except (ValueError, TypeError, RecursionError):
        return text


def intermediate_output(hyperparameters: Mapping[str, str]) -> str:
    """Return where a job wants output/intermediate kept while it runs; "" for nowhere."""
    named = read_value(hyperparameters.get(S3_OUTPUT, ""))
    return named if isinstance(named, str) else ""


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


def needs_secret(hyperparameters: Mapping[str, str], hosts: int) -> bool:
    """Tell whether the hosts of a job need ``MPI_SECRET_VARIABLE``.

    Args:
        hyperparameters: as in the request, values not read.
        hosts: how many there are.
    """
    return hosts > 1 and bool(read_value(hyperparameters.get(MPI)))


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
