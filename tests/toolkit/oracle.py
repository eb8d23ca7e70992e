"""Amazon's own toolkit, answering case after case; started by the differential test.

Reads one case a line, ``{"variables": {...}}``, with the config files already written below
SAGEMAKER_BASE_DIR; answers one line with what it would give the user's script.
"""

import json
import os
import sys

from sagemaker_training import environment

TOLD = ("CURRENT_HOST", "SAGEMAKER_JOB_NAME", "SAGEMAKER_REGION")


def answer(variables: dict[str, str]) -> dict[str, object]:
    os.environ.clear()
    os.environ.update(variables)
    try:
        found = environment.Environment()
        told = found.to_env_vars()
        told.update({name: os.environ[name] for name in TOLD})
        return {"arguments": found.to_cmd_args(), "variables": told}
    except Exception as error:  # noqa: BLE001 - an answer like any other
        return {"error": type(error).__name__}


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line)["variables"])) + "\n")
    sys.stdout.flush()
