"""What the driver that makes pods and the agents that live in them have agreed on.

One pod is one node. In this order run in it: ``STAGE``, an init container, which claims the node
and brings everything in; then side by side ``MAIN``, the user's image, and ``AGENT``, which watches
it and carries out what it made. All three see one emptyDir, the node's folder. The agent knows no
Kubernetes object but its own pod and its claim: what the driver wishes stands in the pod's
annotations, and what the kubelet does stands in the pod's status.
"""

from typing import Final

MAIN: Final = "algo"
"""The container of the user's image."""
AGENT: Final = "agent"
STAGE: Final = "stage"

NODE_FOLDER: Final = "/trainshed/node"
"""Where the agents find the node's folder."""
PLAN_FILE: Final = "/trainshed/plan/plan.json"
"""Where they find the plan: a Secret, mounted."""
TOOLKIT_FOLDER: Final = "toolkit"
"""In the node's folder: what script mode lays into the user's container. ``train`` is our toolkit
as a program for any Python that the image has; ``sourcedir.tar.gz`` the code, if it is brought."""
TRAIN_PROGRAM: Final = "/usr/bin/train"
"""Where ``train`` is laid: an image with a ``train`` of its own has it earlier on its path."""
CREDENTIALS: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the agents find ``token``, ``ca.crt`` and ``namespace``; the user's container has none."""

POD_VARIABLE: Final = "TRAINSHED_POD"
"""Names the pod to its agents."""
POD_UID_VARIABLE: Final = "TRAINSHED_POD_UID"

BACKEND_LABEL: Final = "trainshed.dev/backend"
NODE_LABEL: Final = "trainshed.dev/node"
"""The node's id, as ``NodePlan.node_id`` has it."""
ATTEMPT_LABEL: Final = "trainshed.dev/attempt"
"""The attempt's id (``names.attempt_id``)."""
JOB_LABEL: Final = "trainshed.dev/job"
"""The training job's name."""

STOP_ANNOTATION: Final = "trainshed.dev/stop"
"""On a pod: ``1``, the node is to stop; ``2``, at once; ``TAKEN``: it is taken away now, and
its agents kill what runs and end without another word."""
TAKEN: Final = "3"
NOTICE_ANNOTATION: Final = "trainshed.dev/notice"
"""On a pod: that the node is to be taken away: a ``domain.notice.Notice`` as JSON.

Both stand on the claim as well, so that they are not lost while there is no pod."""

STAGED_ANNOTATION: Final = "trainshed.dev/staged"
"""On a claim: its node has brought all in; the hosts of an attempt wait for each other by it."""

REMOVED: Final = "removed"
"""Holder of the claim (a Lease with the name of the node's objects) of a node that was removed.

The driver makes the claim before the Job, without a holder. The first container of a pod makes its
pod's uid the holder if there is none yet, and only over the version that it has read (a removal
may come at any moment); so one pod is the node. Whoever finds another holder there, or no claim at
all, ends at once: a Job that lost its pod makes another one, and a node that was removed is
forgotten some day.
"""


def object_name(node_id: str) -> str:
    """Return what the Job, the Secret and the claim of a node are called: a DNS label."""
    return f"ts-{node_id.replace('.', '-')}"


def service_name(attempt_id: str) -> str:
    """Return what an attempt's headless Service is called, by which its hosts find each other."""
    return f"ts-{attempt_id.replace('.', '-')}"
