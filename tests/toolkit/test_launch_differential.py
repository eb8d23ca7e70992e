"""Our launchers start the commands that Amazon's do, for any job.

On purpose, beyond what is taken out below before the two are compared:

====================  ============================  ============================================
what                  Amazon's                      ours, and why
====================  ============================  ============================================
-x LD_PRELOAD         a library for the host name   none: the host's name is the runtime's
-x of one host's own  the first host's values       none with several hosts: each has its own
-x of an odd name     as it comes                   none: mpirun would not read it as one name
network card (EFA)    by the instance type          only where there is such a card
NCCL_* and the like   always set                    only where the job has not set them
a count that is text  repeated or TypeError         refused
mpi4py missing        the job fails                 plain Python, with a line in the log
model parallelism     its libraries' options        none: they are in Amazon's images only
====================  ============================  ============================================
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainshed.contract.tree import Tree
from trainshed.toolkit import entry_point
from trainshed.toolkit.environment import TrainingEnvironment
from trainshed.toolkit.launchers import efa, mpirun, torchrun

PROGRAMS = {"train.py": "", "go.sh": "", "program": ""}
OF_ONE_HOST = re.compile(
    r"SM_(CURRENT_\w+|NETWORK_INTERFACE_NAME|NUM_\w+|RESOURCE_CONFIG|TRAINING_ENV)"
)


class Both:
    """The same config files and code, asked of both."""

    def __init__(self, base: Path) -> None:
        self.tree = Tree(base)
        self.tree.config.mkdir(parents=True)
        self.tree.code.mkdir()
        for name, text in PROGRAMS.items():
            (self.tree.code / name).write_text(text)
        self.tree.input_data_config.write_text("{}")
        self.variables = {
            "SAGEMAKER_BASE_DIR": str(base),
            "PATH": os.environ["PATH"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        self.oracle = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("launch_oracle.py"))],
            env=self.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def theirs(self, launcher: str, case: dict[str, Any]) -> dict[str, Any]:
        self.tree.hyperparameters.write_text(json.dumps(case["hyperparameters"]))
        self.tree.resource_config.write_text(json.dumps(case["resources"]))
        variables = {**self.variables, **case["variables"]}
        assert self.oracle.stdin is not None
        assert self.oracle.stdout is not None
        asked = {"launcher": launcher, "variables": variables}
        self.oracle.stdin.write(json.dumps(asked) + "\n")
        self.oracle.stdin.flush()
        found: dict[str, Any] = json.loads(self.oracle.stdout.readline())
        return found

    def training(self, case: dict[str, Any]) -> TrainingEnvironment:
        return TrainingEnvironment(self.tree, {**self.variables, **case["variables"]})

    def close(self) -> None:
        self.oracle.communicate(timeout=30)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    pair = Both(tmp_path_factory.mktemp("launch") / "ml")
    yield pair
    pair.close()


words = st.sampled_from(
    ["-verbose", "--NCCL_DEBUG=WARN", "-x", "A=b", "--mca", "btl_tcp_links", "2", "-x", "FOO"]
)
options = st.lists(words, max_size=5).map(" ".join).map(json.dumps)
user_values = st.dictionaries(
    st.sampled_from(["lr", "b", "batch-size", "list", "nested"]),
    st.sampled_from(
        ["0.1", '"text of words"', "[1, 2]", '{"a": [1, {"b": null}]}', "null", "true"]
    ),
)
own_values = st.fixed_dictionaries(
    {"sagemaker_program": st.sampled_from([f'"{name}"' for name in PROGRAMS])},
    optional={
        "sagemaker_mpi_num_of_processes_per_host": st.integers(1, 9).map(str),
        "sagemaker_mpi_num_processes": st.integers(1, 40).map(str) | st.just("null"),
        "sagemaker_mpi_custom_mpi_options": st.lists(words, max_size=5)
        .map(" ".join)
        .map(json.dumps),
        "sagemaker_distribution_instance_groups": st.sampled_from(['["gpu"]', '["cpu", "gpu"]']),
    },
)
hyperparameters = st.builds(lambda user, own: {**user, **own}, user_values, own_values)


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    names = sorted(f"algo-{n}" for n in range(1, draw(st.integers(1, 12)) + 1))
    found: dict[str, Any] = {"hosts": names, "current_host": draw(st.sampled_from(names))}
    types = st.sampled_from(["ml.c5.xlarge", "ml.p4d.24xlarge", "ml.g5.48xlarge"])
    found["current_instance_type"] = draw(types)
    found["network_interface_name"] = draw(st.sampled_from(["eth0", "ens5"]))
    groups = draw(st.sampled_from([("homogeneousCluster",), ("cpu", "gpu")]))
    placed = {name: draw(st.sampled_from(groups)) for name in names}
    found["instance_groups"] = [
        {
            "instance_group_name": group,
            "instance_type": draw(types),
            "hosts": [name for name in names if placed[name] == group],
        }
        for group in groups
    ]
    found["current_group_name"] = placed[found["current_host"]]
    return found


variables = st.fixed_dictionaries(
    {},
    optional={"AWS_ACCESS_KEY_ID": st.just("key"), "AWS_SESSION_TOKEN": st.just("token")},
)
cases = st.fixed_dictionaries(
    {"hyperparameters": hyperparameters, "resources": resources(), "variables": variables}
)


def asks_for(case: dict[str, Any], name: str) -> dict[str, Any]:
    return {**case, "hyperparameters": {name: "true", **case["hyperparameters"]}}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(case=cases)
def test_mpirun_is_called_as_amazons_toolkit_calls_it(both: Both, case: dict[str, Any]) -> None:
    case = asks_for(case, "sagemaker_mpi_enabled")
    theirs = both.theirs("mpi", case)
    training = both.training(case)
    facts, parameters = training.facts, training.framework_parameters
    assert facts["is_master"] == (theirs.get("runner") != "WorkerRunner")
    if not facts["is_master"] or not facts["distribution_hosts"]:
        return
    program = str(training.program)
    script = entry_point.command(
        program,
        entry_point.kind_of(program, both.tree.code),
        [sys.executable, "-m", "mpi4py"],
        training.arguments,
        both.tree.code,
        both.variables,
    )
    per_host = int(parameters.get("sagemaker_mpi_num_of_processes_per_host", 1))
    environment = {**both.variables, **case["variables"], **training.to_variables()}
    fabric = efa.by_type(case["resources"]["current_instance_type"])
    ours = mpirun.of(facts, parameters, per_host).command(script, environment, fabric)
    several = len(facts["distribution_hosts"]) > 1
    assert as_pairs(ours) == as_pairs(without_ours(theirs["command"], several))


def without_ours(command: list[str], several: bool) -> list[str]:
    """Take out what the table above names."""
    found, words = [], iter(command)
    for word in words:
        if word == "-x":
            name = next(words)
            if name.startswith("LD_PRELOAD=") or (several and OF_ONE_HOST.fullmatch(name)):
                continue
            found += [word, name]
        else:
            found.append(word.rstrip() if word.startswith("./") else word)
    return found


def as_pairs(command: list[str]) -> tuple[list[str], set[str]]:
    """Return the command without the exports of the toolkit's own variables, and those exports."""
    exported = {
        name for option, name in pairwise(command) if option == "-x" and name.startswith("SM_")
    }
    found: list[str] = []
    for word in command:
        if word in exported:
            found.pop()
        else:
            found.append(word)
    return found, exported


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(case=cases)
def test_torchrun_is_called_as_amazons_toolkit_calls_it(both: Both, case: dict[str, Any]) -> None:
    case = asks_for(case, "sagemaker_torch_distributed_enabled")
    theirs = both.theirs("torchrun", case)
    training = both.training(case)
    facts = training.facts
    host_is_in = facts["current_host"] in facts["distribution_hosts"]
    if training.program != "train.py" or not host_is_in:
        # Amazon's counts hosts first, so a host outside the groups fails only with several.
        assert "error" in theirs or len(facts["distribution_hosts"]) < 2
        return
    per_host = int(training.framework_parameters.get("sagemaker_mpi_num_of_processes_per_host", 1))
    ours = torchrun.command("train.py", training.arguments, facts, per_host)
    assert ours == theirs["command"]
    fabric = efa.by_type(case["resources"]["current_instance_type"])
    told = torchrun.variables(case["resources"]["network_interface_name"], fabric)
    del told["GLOO_SOCKET_IFNAME"]
    set_by_theirs = {name: theirs["variables"].get(name) for name in told}
    assert told == set_by_theirs


@pytest.mark.parametrize(
    ("options", "debug", "others"),
    [
        ("", "INFO", []),
        ("-verbose --NCCL_DEBUG=WARN -x A=b", "WARN", ["-verbose", "-x", "A=b"]),
        ("--NCCL_DEBUG TRACE --mca a 1", "TRACE", ["--mca", "a", "1"]),
        ("-x NCCL_DEBUG=INFO", "INFO", ["-x", "NCCL_DEBUG=INFO"]),
    ],
)
def test_only_the_debug_level_is_taken_out_of_the_options(
    options: str, debug: str, others: list[str]
) -> None:
    assert mpirun.own_options(options) == (debug, others)


def test_a_network_card_that_is_not_there_is_not_asked_for(tmp_path: Path) -> None:
    facts = {"current_instance_type": "ml.p4d.24xlarge"}
    assert efa.settings(facts, str(tmp_path / "none")) == {}
    (tmp_path / "mlx5_0").mkdir()
    assert efa.settings(facts, str(tmp_path)) == {}
    (tmp_path / "efa_0").mkdir()
    assert efa.settings(facts, str(tmp_path))["FI_PROVIDER"] == "efa"
