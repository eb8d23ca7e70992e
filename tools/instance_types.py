"""Writes src/trainshed/domain/instances.tsv: what each training instance type has.

python tools/instance_types.py

The names are those of the service model (TrainingInstanceType). The figures are Amazon's public
ones, as EC2's DescribeInstanceTypes tells them; they are read from the copy of that answer which
moto carries. Types that EC2 tells of no more stand in ``_RETIRED``, from Amazon's product pages.
"""

import gzip
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from trainshed.wire.model import load

TABLE = Path(__file__).parents[1] / "src" / "trainshed" / "domain" / "instances.tsv"

_RETIRED = {
    "ml.p2.xlarge": (4, 61 * 1024, 1),
    "ml.p2.8xlarge": (32, 488 * 1024, 8),
    "ml.p2.16xlarge": (64, 732 * 1024, 16),
    "ml.p3.2xlarge": (8, 61 * 1024, 1),
    "ml.p3.8xlarge": (32, 244 * 1024, 4),
    "ml.p3.16xlarge": (64, 488 * 1024, 8),
    "ml.p6e-gb200.36xlarge": (144, 960 * 1024, 4),
}


def rows() -> dict[str, tuple[int, int, int]]:
    """Return (vCPUs, MiB of memory, GPUs) by instance type."""
    told = files("moto.ec2.resources").joinpath("instance_types.json.gz").read_bytes()
    known: dict[str, Any] = json.loads(gzip.decompress(told))
    model = load("sagemaker")
    found = {}
    for name in model.shapes["TrainingInstanceType"].enum:
        if (type_ := known.get(name.removeprefix("ml."))) is None:
            found[name] = _RETIRED[name]
            continue
        gpus = sum(gpu["LogicalGpuCount"] for gpu in type_.get("GpuInfo", {}).get("Gpus", ()))
        memory = type_["MemoryInfo"]["SizeInMiB"]
        found[name] = (type_["VCpuInfo"]["DefaultVCpus"], memory, gpus)
    return found


def page() -> str:
    """Return the table as text."""
    lines = ["type\tvcpus\tmemory_mib\tgpus"]
    lines += [
        f"{name}\t{cpus}\t{mib}\t{gpus}" for name, (cpus, mib, gpus) in sorted(rows().items())
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(page())
