"""Names and ARNs: how things are called on the wire."""

import hashlib
import hmac
import re
from datetime import datetime
from typing import Final

TRAINING_LOG_GROUP: Final = "/aws/sagemaker/TrainingJobs"
"""Where every training job's lines go; clients have this name built in."""

NODE_VARIABLE: Final = "TRAINSHED_NODE"
"""In the environment of everything that a node runs, with what names the node on its machine: what
is left of it can be found by that, whoever died meanwhile."""

BACKEND_TAG: Final = "trainshed:backend"
"""The tag by which CreateTrainingJob, which has no member for it, names a backend."""
SHM_TAG: Final = "trainshed:shm-size"
"""The tag that asks for a size of /dev/shm, such as ``4g``."""
IMAGE_TAG: Final = "trainshed:image"
"""The tag that a job bears once its image is known: the digest it ran."""

PROJECT_TAG: Final = "trainshed:project"
"""The tag that says whose share and quota a job counts for."""
PRIORITY_TAG: Final = "trainshed:priority"
"""The tag that says who goes first: 0 to 99."""
PREEMPTIBLE_TAG: Final = "trainshed:preemptible"
"""The tag by which a job lets others have its nodes: ``true`` or ``false``."""
INSTANCE_TYPES_TAG: Final = "trainshed:instance-types"
"""The tag that names what else a job may run on, best first, with spaces between."""

PYTHON_IMAGE: Final = "trainshed/python"
"""The image of jobs that ask for none: ``trainshed run`` without --image."""
CONTAINER_ADDRESS: Final = "169.254.170.2"
"""Where containers find their machine's server: the address that AWS clients accept credentials
from, besides loopback (Amazon ECS has its credential endpoint there)."""

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*)"
    r":(?P<account>\d{12}|):(?P<kind>[a-z-]+)/(?P<name>.+)"
)


def partition_of(region: str) -> str:
    """Return the partition that a region's ARNs carry, such as ``aws-cn``."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws"


def sagemaker_arn(*, region: str, account: str, kind: str, name: str) -> str:
    """Return the ARN of a SageMaker resource, such as a ``training-job``."""
    return f"arn:{partition_of(region)}:sagemaker:{region}:{account}:{kind}/{name}"


def split_arn(arn: str) -> tuple[str, str] | None:
    """Return ``(kind, name)`` of a SageMaker ARN, or None when the text is not one."""
    found = _ARN.fullmatch(arn)
    if found is None or found["service"] != "sagemaker":
        return None
    return found["kind"], found["name"]


def hosts(count: int) -> tuple[str, ...]:
    """Return the nodes' names ``algo-1 … algo-N``, in rank order (not sorted as text)."""
    return tuple(f"algo-{rank}" for rank in range(1, count + 1))


def log_stream(job_name: str, host: str, started: datetime) -> str:
    """Return the name of the stream that holds one node's output in the attempt begun then.

    In milliseconds, where the service has seconds: here a job can be over, deleted and created
    again within one, and two attempts must never write into one stream.
    """
    return f"{job_name}/{host}-{int(started.timestamp() * 1000)}"


def is_within(address: str, folder: str) -> bool:
    """Tell whether an address such as ``s3://bucket/key`` is a folder's, or lies below it."""
    return f"{address.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def attempt_id(job_id: str, attempt: int) -> str:
    """Return what names one attempt of one job for ever."""
    return f"{job_id}.{attempt}"


def node_id(job_id: str, attempt: int, host: str) -> str:
    """Return what names one node of one attempt for ever."""
    return f"{job_id}.{attempt}.{host}"


def credentials_token(secret: str, node_id: str) -> str:
    """Return what a node's container shows to be given short-lived keys: HMAC-SHA256 in hex.

    Not the node's report token: a container must not be able to report for its agent.
    """
    return hmac.new(secret.encode(), f"credentials/{node_id}".encode(), hashlib.sha256).hexdigest()


def attempt_secret(secret: str, job_id: str, attempt: int) -> str:
    """Return what the nodes of one attempt know and nobody else does: HMAC-SHA256 in hex."""
    text = f"attempt/{job_id}.{attempt}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def report_token(secret: str, node_id: str) -> str:
    """Return the bearer token for one node's reports: HMAC-SHA256 in hex.

    Derived, so that nothing has to be kept: the server makes it again from its own secret.
    """
    return hmac.new(secret.encode(), node_id.encode(), hashlib.sha256).hexdigest()
