"""A pod that asks for the server, as the agents of jobs will, and what became of it. Pure.

It is made as nodes are: by a Job, from the agent's image, as root, by the account of nodes. What
keeps it from running keeps jobs from running.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trainshed.drivers.kubernetes.options import KubernetesBackend

_PROGRAM: Final = """\
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1] + "/healthz", timeout=15).read()
except OSError as error:
    sys.exit(str(error))
"""
_HOPELESS: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
"""Reasons for which a container waits that time alone does not mend."""
_PULLS: Final = {"missing": "IfNotPresent", "always": "Always", "never": "Never"}


def job(name: str, options: KubernetesBackend) -> dict[str, Any]:
    """Return the Job that asks for the server once."""
    container = {
        "name": "probe",
        "image": options.agent_image,
        "imagePullPolicy": _PULLS[options.agent_pull],
        "command": ["python", "-I", "-c", _PROGRAM, options.server_url],
        "securityContext": {"runAsUser": 0, "runAsNonRoot": False},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {
            "requests": {"cpu": f"{max(1, round(options.agent_cpus * 1000))}m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        },
    }
    told = [{"name": secret} for secret in options.image_pull_secrets]
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": options.service_account,
        "automountServiceAccountToken": False,
        "nodeSelector": dict(options.node_selector),
        "tolerations": [
            {
                key: text
                for key in ("key", "operator", "value", "effect")
                if (text := getattr(each, key))
            }
            for each in options.tolerations
        ],
        **({"imagePullSecrets": told} if told else {}),
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "trainshed"}},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def outcome(pods: Sequence[Mapping[str, Any]], url: str) -> str | None:
    """Return what is wrong, for people; "" where nothing is; None while it can't be told.

    Args:
        pods: those of the Job.
        url: what the pod asks for.
    """
    for pod in pods:
        status = pod.get("status", {})
        for container in status.get("containerStatuses", ()):
            state = container.get("state", {})
            if ended := state.get("terminated"):
                said = str(ended.get("message") or ended.get("reason") or "").strip()
                code = int(ended["exitCode"])
                return f"pods can't reach this server at {url}: {said}" if code else ""
            waiting = state.get("waiting", {})
            if waiting.get("reason") in _HOPELESS:
                said = waiting.get("message") or waiting["reason"]
                return f"the agent's image does not run there: {said}"
    return None


def at_last(pods: Sequence[Mapping[str, Any]]) -> str:
    """Return what to say of a pod that has not come to an end in all its time."""
    if not pods:
        return "the cluster made no pod for a Job: kubectl describe jobs, and the namespace's quota"
    conditions = pods[0].get("status", {}).get("conditions", ())
    said = [str(each["message"]) for each in conditions if each.get("message")]
    return f"a pod has not begun: {'; '.join(said) or 'the cluster does not say why'}"
