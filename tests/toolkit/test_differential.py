"""Our arguments and variables are those of Amazon's ``sagemaker-training``, for any job.

``DIFFERENCES`` holds every difference in what a script is told. Beyond that, on purpose:

====================  ==============================  =======================================
what                  Amazon's toolkit                ours, and why
====================  ==============================  =======================================
PYTHONPATH            the toolkit's whole sys.path    the code folder and what was set: the
                                                      script's Python may be another one
PYTHONUNBUFFERED      not set                         1 if not set: metrics are read live
variable > 128 KiB    the script cannot be started    left out, with a line in the log
code folder in use    a submitted archive is ignored  laid over it: what was submitted runs
hostile archive       members renamed or left out     refused, by the member's name
names of other hosts  always waits, 15 min            waits where there are others; in a
                                                      container only, elsewhere they are a file
an R script           run by a shell                  by Rscript if its first line names nothing
several hosts         nothing told                    MASTER_ADDR, NODE_RANK and the like, as
                                                      Amazon's PyTorch image tells some of them
launchers             runs them                       test_launch_differential.py
====================  ==============================  =======================================
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainshed.contract import script_mode
from trainshed.contract.tree import Tree
from trainshed.toolkit.environment import TrainingEnvironment

DIFFERENCES: Final = {
    "a value nested too deeply for a JSON reader": (
        "Amazon's toolkit ends with RecursionError; ours passes the text on as it came.",
        {"hyperparameters": {"x": "[" * 30_000}},
        {"error": "RecursionError"},
        {"SM_HP_X": "[" * 30_000},
    ),
    "a job name that reads as a number": (
        "Amazon's toolkit ends with TypeError, since a variable must be text; ours makes it text.",
        {"hyperparameters": {"sagemaker_job_name": "2024"}},
        {"error": "TypeError"},
        {"SAGEMAKER_JOB_NAME": "2024"},
    ),
    "a region told by AWS_REGION alone": (
        "boto3 looks at AWS_DEFAULT_REGION only, but the service sets AWS_REGION.",
        {"variables": {"AWS_REGION": "eu-west-1"}},
        {"SAGEMAKER_REGION": ""},
        {"SAGEMAKER_REGION": "eu-west-1"},
    ),
    "a log level variable that is no number": (
        "Amazon's toolkit ends with ValueError over a value it then does not use.",
        {"variables": {"SAGEMAKER_CONTAINER_LOG_LEVEL": "info"}},
        {"error": "ValueError"},
        {"SM_LOG_LEVEL": "20"},
    ),
}
"""Every difference: why, the case, what of Amazon's answer and of ours shows it."""

RESOURCES: Final = {"current_host": "algo-1", "hosts": ["algo-1"]}


class Both:
    """The same config files, read by both toolkits."""

    def __init__(self, base: Path) -> None:
        self.tree = Tree(base)
        self.tree.config.mkdir(parents=True)
        self.base_variables = {
            "SAGEMAKER_BASE_DIR": str(base),
            "PATH": os.environ["PATH"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        self.oracle = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("oracle.py"))],
            env=self.base_variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, case: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return Amazon's answer and ours."""
        files = {
            self.tree.hyperparameters: case.get("hyperparameters", {}),
            self.tree.resource_config: case.get("resources", RESOURCES),
            self.tree.input_data_config: case.get("channels", {}),
        }
        for path, content in files.items():
            path.write_text(json.dumps(content))
        variables = {**self.base_variables, **case.get("variables", {})}
        assert self.oracle.stdin is not None
        assert self.oracle.stdout is not None
        self.oracle.stdin.write(json.dumps({"variables": variables}) + "\n")
        self.oracle.stdin.flush()
        ours = TrainingEnvironment(self.tree, variables)
        told = {"arguments": ours.arguments, "variables": ours.to_variables()}
        return json.loads(self.oracle.stdout.readline()), told

    def close(self) -> None:
        self.oracle.communicate(timeout=30)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    pair = Both(tmp_path_factory.mktemp("both") / "ml")
    yield pair
    pair.close()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
"""Among the floats are infinities and NaN, which Python's JSON has too."""
texts = st.text(max_size=30)
encoded = json_values.map(json.dumps)
quoted = texts.map(json.dumps)
user_keys = (
    st.sampled_from(["lr", "batch-size", "b", "é", "A", "a", "", "_x", "model_dir"]) | texts
).filter(lambda key: not key.startswith("sagemaker_") and key not in script_mode.OWN)
user_values = st.dictionaries(
    user_keys, encoded | quoted | texts | st.sampled_from(["True", "1e-3", "007"]), max_size=8
)
own_values = st.fixed_dictionaries(
    {},
    optional={
        "sagemaker_program": st.sampled_from(["train.py", '"train.py"', '"pkg.train"', "5", '"a"']),
        "sagemaker_submit_directory": quoted | st.just("s3://bucket/sourcedir.tar.gz"),
        "sagemaker_container_log_level": st.sampled_from(["10", '"20"', "DEBUG"]),
        "sagemaker_region": st.sampled_from(['"eu-west-1"', "us-east-1", "null", '""']),
        "sagemaker_job_name": st.sampled_from(['"job-1"', "job-2"]),
        "sagemaker_enable_cloudwatch_metrics": encoded,
        "sagemaker_s3_output": quoted,
        "default_user_module_name": quoted,
        "_tuning_objective_metric": quoted,
        "sagemaker_instance_type": quoted,
        "sagemaker_estimator_class_name": quoted,
        "sagemaker_unheard_of": encoded,
        "sagemaker_mpi_enabled": st.sampled_from(["true", "false", '"true"']),
        "sagemaker_torch_distributed_enabled": encoded,
        "sagemaker_parameter_server_enabled": encoded,
        "sagemaker_distribution_instance_groups": st.just('["gpu"]'),
    },
)
hyperparameters = st.builds(lambda user, own: {**user, **own}, user_values, own_values)
hosts = st.integers(1, 12).map(lambda count: sorted(f"algo-{n}" for n in range(1, count + 1)))


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(hosts)
    found: dict[str, Any] = {"hosts": names, "current_host": draw(st.sampled_from(names))}
    types = st.sampled_from(["ml.c5.xlarge", "ml.p4d.24xlarge", "ml.trn2.48xlarge", "local"])
    group_names = draw(st.sampled_from([(), ("homogeneousCluster",), ("cpu", "gpu")]))
    if group_names:
        placed = {name: draw(st.sampled_from(group_names)) for name in names}
        found["instance_groups"] = [
            {
                "instance_group_name": group,
                "instance_type": draw(types),
                "hosts": [name for name in names if placed[name] == group],
            }
            for group in group_names
        ]
        found["current_group_name"] = placed[found["current_host"]]
    if draw(st.booleans()):
        found["current_instance_type"] = draw(types)
    if draw(st.booleans()):
        found["network_interface_name"] = draw(st.sampled_from(["eth0", "ens5"]))
    if draw(st.booleans()):
        rack = [{"hostName": name, "capacityUnitId": "u-1"} for name in names]
        found["topology"] = draw(st.sampled_from([None, [], rack]))
    return found


channels = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9.\-_]{1,12}", fullmatch=True),
    st.fixed_dictionaries(
        {"TrainingInputMode": st.sampled_from(["File", "FastFile", "Pipe"])},
        optional={"ContentType": texts, "RecordWrapperType": st.just("None")},
    ),
    max_size=4,
)
variables = st.fixed_dictionaries(
    {},
    optional={
        "SAGEMAKER_PROGRAM": st.sampled_from(["train.py", "run.sh", "other", ""]),
        "SAGEMAKER_SUBMIT_DIRECTORY": st.just("/opt/ml/code"),
        "SAGEMAKER_TRAINING_MODULE": st.just("framework.training:main"),
        "TRAINING_JOB_NAME": st.just("job"),
        "SM_HP_MP_PARAMETERS": st.sampled_from(["", "{}", '{"a":1}']),
        "AWS_DEFAULT_REGION": st.just("eu-central-1"),
    },
)
cases = st.fixed_dictionaries(
    {
        "hyperparameters": hyperparameters,
        "resources": resources(),
        "channels": channels,
        "variables": variables,
    }
)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(case=cases)
def test_any_job_gets_the_same_arguments_and_variables(both: Both, case: dict[str, Any]) -> None:
    theirs, ours = both.ask(case)
    assert ours == theirs


@pytest.mark.parametrize("name", DIFFERENCES)
def test_where_we_differ_we_mean_to(both: Both, name: str) -> None:
    reason, case, of_theirs, of_ours = DIFFERENCES[name]
    theirs, ours = both.ask(case)
    assert {key: {**theirs, **theirs.get("variables", {})}[key] for key in of_theirs} == of_theirs
    assert {key: ours["variables"][key] for key in of_ours} == of_ours, reason
