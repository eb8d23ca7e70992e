"""Ready-made node plans, so that a test names only what it is about."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainshed.domain.plan import NodePlan


def node_plan(folder: Path, *, server_url: str, token: str, **changes: Any) -> NodePlan:
    """Return a node that runs ``true`` and delivers below ``<folder>/out``."""
    plain = NodePlan(
        node_id="job-1.1.algo-1",
        job_name="job-1",
        job_arn="arn:aws:sagemaker:us-east-1:000000000000:training-job/job-1",
        region="us-east-1",
        host="algo-1",
        hosts=("algo-1",),
        instance_type="ml.m5.large",
        instance_group="homogeneousCluster",
        instance_groups=(),
        image="img",
        environment_path=sys.prefix,
        entrypoint=("/bin/sh", "-c", "true"),
        arguments=None,
        script_mode=False,
        hyperparameters={},
        environment={},
        channels=(),
        input_mode="File",
        output_path=f"file://{folder}/out",
        compression="GZIP",
        metrics=(),
        max_runtime=3600.0,
        grace=1.0,
        log_group="/aws/sagemaker/TrainingJobs",
        log_stream="job-1/algo-1-1",
        server_url=server_url,
        token=token,
        objects={},
        file_roots=(str(folder),),
    )
    return replace(plain, **changes)
