"""Builds the ``SM_*`` variables that training scripts read.

Source: the behaviour of Amazon's ``sagemaker-training`` package, held to by a differential test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from trainshed.contract import script_mode
from trainshed.contract.configs import DEFAULT_INTERFACE, HOMOGENEOUS
from trainshed.contract.tree import Tree
from trainshed.toolkit.failure import ToolkitError

_LOG_LEVEL: Final = 20
_TRN2_CORES: Final = 64
"""Neuron cores of a trn2.48xlarge, told by its name alone."""
_VARIABLE_BYTES: Final = 128 * 1024
"""Linux lets no single variable or argument be longer (MAX_ARG_STRLEN)."""


class TrainingEnvironment:
    """What the config files say, as the user's script is told it."""

    def __init__(self, tree: Tree, variables: Mapping[str, str]) -> None:
        """Read the config files.

        Raises:
            ToolkitError: a file is missing or is not the JSON object it should be.
        """
        values = script_mode.read(_read(tree.hyperparameters))
        self.resources = _read(tree.resource_config)
        self.inputs = _read(tree.input_data_config)
        self.own = {key: values[key] for key in values if key in script_mode.OWN}
        self.hyperparameters = script_mode.for_script(values)
        self.framework_parameters = script_mode.for_framework(values)
        self.program = variables.get("SAGEMAKER_PROGRAM") or self.own.get(script_mode.PROGRAM)
        self.submit_directory = str(self.own.get(script_mode.SUBMIT_DIRECTORY, tree.code))
        self.arguments = script_mode.arguments(self.hyperparameters)
        self._tree = tree
        self._variables = variables
        self.facts = self._facts()
        """What ``SM_TRAINING_ENV`` holds."""

    def to_variables(self) -> dict[str, str]:
        """Return every variable that is added to the script's environment."""
        facts = self.facts
        members = {
            **{key: facts[key] for key in _PLAIN},
            "hps": self.hyperparameters,
            "framework_params": self.framework_parameters,
            "channels": sorted(self.inputs),
            "training_env": facts,
            "user_args": self.arguments,
        }
        if facts["topology"]:
            members["topology"] = facts["topology"]
        for name, folder in facts["channel_input_dirs"].items():
            members[f"channel_{name}"] = folder
        for key, value in self.hyperparameters.items():
            members[f"hp_{key}"] = value
        found = {f"SM_{key}".upper(): _text(value) for key, value in members.items()}
        found["CURRENT_HOST"] = str(facts["current_host"])
        found["SAGEMAKER_JOB_NAME"] = str(self.own.get(script_mode.JOB_NAME, ""))
        found["SAGEMAKER_REGION"] = str(self.own.get(script_mode.REGION, self._region()) or "")
        return found

    def _facts(self) -> dict[str, Any]:
        """Return what ``SM_TRAINING_ENV`` holds."""
        tree, resources = self._tree, self.resources
        module = self._variables.get("SAGEMAKER_PROGRAM")
        if module is None:
            module = str(self.own.get(script_mode.PROGRAM))
        instance_type = resources.get("current_instance_type", "local")
        return {
            **self._groups(),
            "additional_framework_parameters": self.framework_parameters,
            "channel_input_dirs": {name: f"{tree.data}/{name}" for name in self.inputs},
            "current_instance_type": instance_type,
            "framework_module": self._variables.get("SAGEMAKER_TRAINING_MODULE"),
            "hyperparameters": self.hyperparameters,
            "input_config_dir": str(tree.config),
            "input_data_config": self.inputs,
            "input_dir": str(tree.input),
            "is_modelparallel_enabled": _model_parallel(self._variables.get("SM_HP_MP_PARAMETERS")),
            "is_smddpmprun_installed": on_path("smddpmprun", self._variables) is not None,
            "is_smddprun_installed": on_path("smddprun", self._variables) is not None,
            "job_name": self._variables.get("TRAINING_JOB_NAME"),
            "log_level": self.own.get(script_mode.LOG_LEVEL, _LOG_LEVEL),
            "model_dir": str(tree.model),
            "module_dir": self.submit_directory,
            "module_name": module[:-3] if module.endswith(".py") else module,
            "network_interface_name": resources.get("network_interface_name", DEFAULT_INTERFACE),
            "num_cpus": os.cpu_count(),
            "num_gpus": _gpus(self._variables),
            "num_neurons": _neurons(instance_type, self._variables),
            "output_data_dir": str(tree.output_data),
            "output_dir": str(tree.output),
            "output_intermediate_dir": str(tree.intermediate),
            "resource_config": resources,
            "topology": resources.get("topology", []),
            "user_entry_point": self.program,
        }

    def _groups(self) -> dict[str, Any]:
        """Return what is known of hosts and instance groups."""
        try:
            hosts, host = self.resources["hosts"], self.resources["current_host"]
        except KeyError as missing:
            raise ToolkitError(f"{self._tree.resource_config} lacks {missing}") from missing
        groups = {g["instance_group_name"]: g for g in self.resources.get("instance_groups", [])}
        current = self.resources.get("current_group_name", HOMOGENEOUS)
        launched = script_mode.launchers_asked_for(self.framework_parameters)
        spread = self.framework_parameters.get(
            script_mode.DISTRIBUTION_GROUPS, [current] if launched else []
        )
        spread_hosts = (
            [each for name, group in groups.items() if name in spread for each in group["hosts"]]
            if groups
            else list(hosts)
        )
        master = (spread_hosts or hosts)[0]
        return {
            "current_host": host,
            "current_instance_group": current,
            "current_instance_group_hosts": groups[current]["hosts"] if current in groups else [],
            "distribution_hosts": spread_hosts,
            "distribution_instance_groups": spread,
            "hosts": hosts,
            "instance_groups": list(groups),
            "instance_groups_dict": groups,
            "is_hetero": len(groups) > 1,
            "is_master": host == master,
            "master_hostname": master,
        }

    def _region(self) -> str:
        return self._variables.get("AWS_DEFAULT_REGION") or self._variables.get("AWS_REGION", "")


_PLAIN: Final = (
    "current_host",
    "current_instance_group",
    "current_instance_group_hosts",
    "current_instance_type",
    "distribution_instance_groups",
    "framework_module",
    "hosts",
    "input_config_dir",
    "input_data_config",
    "input_dir",
    "instance_groups",
    "instance_groups_dict",
    "is_hetero",
    "log_level",
    "model_dir",
    "module_dir",
    "module_name",
    "network_interface_name",
    "num_cpus",
    "num_gpus",
    "num_neurons",
    "output_data_dir",
    "output_dir",
    "output_intermediate_dir",
    "resource_config",
    "user_entry_point",
)
"""Members of ``SM_TRAINING_ENV`` that are variables of their own under the same name."""


def passable(variables: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that the system can pass to a program, and a note for each other."""
    found, notes = {}, []
    for name, value in variables.items():
        size = len(os.fsencode(name)) + len(value.encode("utf-8", "surrogateescape")) + 2
        if "=" in name or not name:
            notes.append(f"variable {name!a} is left out: its name cannot hold '='")
        elif size > _VARIABLE_BYTES:
            notes.append(
                f"variable {name!a} is left out: {size} bytes, the system passes at most "
                f"{_VARIABLE_BYTES}; read the files below /opt/ml/input/config instead"
            )
        else:
            found[name] = value
    return found, notes


def on_path(program: str, variables: Mapping[str, str]) -> str | None:
    """Return the program's path as a shell would find it, or None."""
    for folder in variables.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", program)  # noqa: PTH118 - many tries, kept quick
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return path
    return None


def _read(path: os.PathLike[str]) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - any PathLike
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise ToolkitError(
            f"{os.fspath(path)} cannot be read: {error}; the platform writes it before it "
            "starts the container"
        ) from error
    if not isinstance(found, dict):
        raise ToolkitError(f"{os.fspath(path)} holds no JSON object")
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _model_parallel(parameters: str | None) -> object:
    return parameters and parameters != "{}"


def _gpus(variables: Mapping[str, str]) -> int:
    listed = _output_of("nvidia-smi", "--list-gpus", variables)
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def _neurons(instance_type: str, variables: Mapping[str, str]) -> int:
    if "trn2.48xlarge" in instance_type:
        return _TRN2_CORES
    listed = _output_of("neuron-ls", "-j", variables)
    return sum(device.get("nc_count", 0) for device in json.loads(listed)) if listed else 0


def _output_of(program: str, option: str, variables: Mapping[str, str]) -> str:
    """Return what an accelerator's tool prints; "" where it is not installed or fails."""
    path = on_path(program, variables)
    if path is None:
        return ""
    # Imported here: without such a tool, 8 ms less of start-up.
    import subprocess  # noqa: PLC0415

    ended = subprocess.run(
        [path, option], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    return ended.stdout.decode("utf-8", "replace") if ended.returncode == 0 else ""
