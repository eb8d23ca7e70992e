"""A Kubernetes API server in memory: objects, Events and Leases, as the operator needs them.

It keeps what matters: versions that only grow and are compared, generations that count edits of the
spec, a status that is written apart, finalizers that hold a deletion up. It has no schema.
"""

import copy
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trainshed.operator.cluster import Cluster, Exists, Missing, Outdated, Unreachable
from trainshed.operator.kinds.base import API_VERSION
from trainshed.operator.objects import Key, Object, written


class MemoryCluster(Cluster):
    """What a real one is to the operator, and hands to pull by tests."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__()
        self.objects: dict[str, dict[str, Any]] = {}
        """By path."""
        self.writes = 0
        """How often an object or its status was written, by whom so ever."""
        self.reachable = True
        self._version = 0

    def make(self, thing: Mapping[str, Any], plural: str = "trainingjobs") -> Object:
        """Hold a new object, as ``kubectl create`` has it."""
        meta = {"namespace": "default", **thing["metadata"]}
        self._version += 1
        meta |= {"resourceVersion": str(self._version), "generation": 1}
        meta.setdefault("uid", str(uuid.uuid4()))
        made = copy.deepcopy({**thing, "apiVersion": API_VERSION, "metadata": meta})
        path = _path(Key(plural, meta["namespace"], meta["name"]))
        if path in self.objects:
            raise Exists(path)
        self.objects[path] = made
        return Object(plural, copy.deepcopy(made))

    def look(self, key: Key) -> Object | None:
        """Return an object; None when it is not there."""
        found = self.objects.get(_path(key))
        return None if found is None else Object(key.plural, copy.deepcopy(found))

    def edit(self, key: Key, change: Mapping[str, Any]) -> Object:
        """Change an object by a merge patch, as ``kubectl`` does."""
        self._patch(_path(key), change)
        found = self.look(key)
        assert found is not None
        return found

    def delete(self, key: Key, now: datetime) -> None:
        """Ask for an object's deletion."""
        found = self.objects.get(_path(key))
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            found["metadata"]["deletionTimestamp"] = written(now)
            self._touch(_path(key))

    def events(self) -> list[dict[str, Any]]:
        """Return the Events, in order."""
        return [each for path, each in self.objects.items() if "/events/" in path]

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Answer a request."""
        if not self.reachable:
            raise Unreachable("the cluster is away on purpose")
        match method:
            case "GET":
                return copy.deepcopy(self._found(path))
            case "POST":
                return self._post(path, body or {})
            case "PUT":
                return self._put(path, body or {})
            case _:
                return copy.deepcopy(self._patch(path, body or {}))

    def _found(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            raise Missing(path)
        return self.objects[path]

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        one = f"{path}/{body['metadata']['name']}"
        if one in self.objects:
            raise Exists(one)
        self._version += 1
        made = copy.deepcopy(dict(body))
        made["metadata"]["resourceVersion"] = str(self._version)
        self.objects[one] = made
        return copy.deepcopy(made)

    def _put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        old = self._found(path)
        if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise Outdated(path)
        self._version += 1
        new = copy.deepcopy(dict(body))
        new["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = new
        return copy.deepcopy(new)

    def _patch(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        status = path.endswith("/status")
        path = path.removesuffix("/status")
        old = self._found(path)
        meant = dict(change.get("metadata") or {})
        version = meant.pop("resourceVersion", None)
        if version not in {None, old["metadata"]["resourceVersion"]}:
            raise Outdated(path)
        before = copy.deepcopy(old)
        if status:
            old["status"] = _merged(old.get("status", {}), change.get("status") or {})
        else:
            kept = old.get("status")
            new = _merged(old, {**change, "metadata": meant})
            old.clear()
            old.update(new)
            if "/events/" not in path:
                old.pop("status", None)
                old |= {"status": kept} if kept is not None else {}
            if old.get("spec") != before.get("spec"):
                old["metadata"]["generation"] += 1
        if "/events/" not in path:
            self.writes += 1
        if old != before:
            self._touch(path)
        return old

    def _touch(self, path: str) -> None:
        found = self.objects[path]
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)
        meta = found["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            del self.objects[path]


def _path(key: Key) -> str:
    return f"/apis/{API_VERSION}/namespaces/{key.namespace}/{key.plural}/{key.name}"


def _merged(old: Any, change: Any) -> Any:
    """Return a value with a merge patch applied (RFC 7386)."""
    if not isinstance(change, Mapping):
        return copy.deepcopy(change)
    result = dict(old) if isinstance(old, Mapping) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
