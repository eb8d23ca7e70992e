"""Where the containers of a pod find what they share, and which pod they are of."""

import os
from dataclasses import dataclass
from pathlib import Path

from trainshed.domain import pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One pod, as its containers see it."""

    root: Path = Path("/")
    """The folder below which everything lies: ``/``, but where a pod is only played."""
    pod: str = ""
    uid: str = ""
    host: str = ""
    """Where the cluster's API server answers."""
    port: int = 443

    @classmethod
    def here(cls, root: Path = Path("/")) -> "Place":
        """Return what the environment tells.

        Raises:
            ValueError: it does not say which pod this is, or where the cluster is.
        """
        wanted = (pods.POD_VARIABLE, pods.POD_UID_VARIABLE, "KUBERNETES_SERVICE_HOST")
        if missing := [name for name in wanted if not os.environ.get(name)]:
            raise ValueError(
                f"{', '.join(missing)} not set: this runs in the pods that the Kubernetes backend "
                "makes, which have it"
            )
        pod, uid, host = (os.environ[name] for name in wanted)
        port = int(os.environ.get("KUBERNETES_SERVICE_PORT") or 443)
        return cls(root=root, pod=pod, uid=uid, host=host, port=port)

    @property
    def node(self) -> Path:
        """The node's folder, which all containers of the pod have."""
        return self._below(pods.NODE_FOLDER)

    @property
    def plan(self) -> Path:
        """The node's plan, as the driver made it."""
        return self._below(pods.PLAN_FILE)

    @property
    def credentials(self) -> Path:
        """The folder with the token that the cluster's API server wants to see."""
        return self._below(pods.CREDENTIALS)

    @property
    def last_words(self) -> Path:
        """The file of which the kubelet tells, once a container has ended."""
        return self._below("/dev/termination-log")

    @property
    def processes(self) -> Path:
        """The processes of the pod, as the kernel shows them."""
        return self._below("/proc")

    def _below(self, path: str) -> Path:
        return self.root / path.lstrip("/")
