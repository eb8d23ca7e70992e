"""Where container engines listen on a machine: agents and servers look in the same places."""

from collections.abc import Mapping
from pathlib import Path


def usual(environment: Mapping[str, str]) -> list[str]:
    """Return the paths at which an engine's socket may be, the likeliest first.

    Args:
        environment: may hold XDG_RUNTIME_DIR, where engines listen that are no root's.
    """
    own = environment.get("XDG_RUNTIME_DIR", "")
    rootless = [f"{own}/docker.sock", f"{own}/podman/podman.sock"] if own else []
    return ["/var/run/docker.sock", *rootless, "/run/podman/podman.sock"]


def found(environment: Mapping[str, str]) -> str:
    """Return the first of them that is a socket; "" when none is."""
    return next((path for path in usual(environment) if Path(path).is_socket()), "")
