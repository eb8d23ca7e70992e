"""Events: what ``kubectl describe`` shows below an object.

An Event's name is made of what it says, so what is said twice is one Event that counts.
"""

import hashlib
from datetime import datetime
from typing import Any, Final

from trainshed.operator.cluster import Cluster, Exists, Missing
from trainshed.operator.deciding.base import Notice
from trainshed.operator.kinds.base import API_VERSION
from trainshed.operator.objects import Object, written

COMPONENT: Final = "trainshed-operator"
_LONGEST_NAME: Final = 230
"""Characters of an object's name within its Event's, which may have 253."""


def event(thing: Object, kind: str, notice: Notice, now: datetime) -> dict[str, Any]:
    """Return the Event that tells of an object."""
    namespace = thing.key.namespace
    stamp = written(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": _name(thing, notice), "namespace": namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": kind,
            "namespace": namespace,
            "name": thing.name,
            "uid": thing.uid,
            "resourceVersion": thing.version,
        },
        "type": "Warning" if notice.warning else "Normal",
        "reason": notice.reason,
        "message": notice.message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


async def tell(cluster: Cluster, thing: Object, kind: str, notice: Notice, now: datetime) -> None:
    """Tell an Event of an object; count it up when it was told before.

    Raises:
        ClusterError: it was not told.
    """
    made = event(thing, kind, notice, now)
    path = f"/api/v1/namespaces/{thing.key.namespace}/events"
    try:
        await cluster.request("POST", path, made)
    except Exists:
        one = f"{path}/{made['metadata']['name']}"
        try:
            # What is there comes back with the first: an operator need not be able to read Events.
            told = await cluster.request("PATCH", one, {"lastTimestamp": written(now)})
            await cluster.request("PATCH", one, {"count": int(told.get("count") or 1) + 1})
        except Missing:  # its hour was over in between
            await cluster.request("POST", path, made)


def _name(thing: Object, notice: Notice) -> str:
    said = f"{thing.uid}\n{notice.reason}\n{notice.message}"
    digest = hashlib.blake2b(said.encode(), digest_size=8).hexdigest()
    return f"{thing.name[:_LONGEST_NAME]}.{digest}"
