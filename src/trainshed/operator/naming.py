"""What an object's resource is called at the service when its manifest names none.

The names are those of the first operator for these manifests, so that its objects, and scripts that
build names, find their resources again.
"""


def generated_name(name: str, uid: str, limit: int) -> str:
    """Return ``<name>-<uid without hyphens>``, with the name cut at its end to keep to ``limit``.

    The uid is kept whole while it fits; where nothing of the name would be left beside it, it
    stands alone: a tuning job, with its 32 characters, is called by its bare uid. Dots, which a
    Kubernetes name may have and the service refuses, become hyphens.

    Args:
        name: ``metadata.name``.
        uid: ``metadata.uid``; two objects of one name, one after the other, differ in it.
        limit: the longest name that the service takes, as ``Kind.name_limit`` tells.
    """
    tail = uid.replace("-", "")
    room = limit - len(tail) - 1
    if room < 1:
        return tail[:limit]
    return f"{name.replace('.', '-')[:room]}-{tail}"
