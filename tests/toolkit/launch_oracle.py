"""Amazon's own launchers, asked for the command that they would start; see ``oracle.py``.

Answers one line a case: the command's words, or the error's name.
"""

import json
import os
import sys
from typing import Any

from sagemaker_training import environment, mpi, runner, torch_distributed


def answer(case: dict[str, Any]) -> dict[str, Any]:
    os.environ.clear()
    os.environ.update(case["variables"])
    kind = runner.MPIRunnerType if case["launcher"] == "mpi" else runner.TorchDistributedRunnerType
    try:
        env = environment.Environment()
        made = runner.get(kind, env.user_entry_point, env.to_cmd_args(), env.to_env_vars())
        if not isinstance(made, (mpi.MasterRunner, torch_distributed.TorchDistributedRunner)):
            return {"runner": type(made).__name__}
        before = dict(os.environ)
        command = made._create_command()
        added = {name: text for name, text in os.environ.items() if before.get(name) != text}
    except Exception as error:  # noqa: BLE001 - an answer like any other
        return {"error": type(error).__name__}
    return {"command": command, "variables": added}


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
    sys.stdout.flush()
