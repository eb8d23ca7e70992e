"""Does the work of an agent once: ``stage_once (down|up) FOLDER URL WHAT``.

A program of its own, so that what it costs can be compared with other programs.
"""

import os
import shutil
import sys
from pathlib import Path

from bench.nodes import node
from trainshed.agent.steps.inputs import bring_inputs
from trainshed.agent.steps.layout import lay_out
from trainshed.agent.steps.outputs import carry_out


def stage(way: str, into: Path, endpoint: str, what: str) -> None:
    """Bring the objects below the address ``what`` in (``down``), or carry a folder out (``up``).

    Args:
        way: which of the two.
        into: the node's folder.
        endpoint: of the S3 server, which is asked by HTTP.
        what: an address, or a folder.
    """
    objects = {
        "endpoint": endpoint,
        "access_key": os.environ["AWS_ACCESS_KEY_ID"],
        "secret_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "region": "us-east-1",
    }
    source = {"S3DataType": "S3Prefix", "S3Uri": what}
    channels = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    here = node(
        into,
        objects=objects,
        channels=tuple(channels) if way != "up" else (),
        output_path="s3://bench/up/ours",
        compression="NONE",
    )
    lay_out(here)
    if way == "up":
        here.tree.model.rmdir()
        shutil.copytree(what, here.tree.model, copy_function=os.link)
        carry_out(here)
    else:
        bring_inputs(here)


if __name__ == "__main__":
    stage(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
