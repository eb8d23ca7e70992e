"""What was last seen of each object, and which resource of the service each one waits for.

Filled by the watch and by the answers to what the operator writes itself, whichever is newer: so
what it has written is never news to it.
"""

from collections.abc import Iterable, Iterator, Mapping

from trainshed.operator.deciding.base import Deciding
from trainshed.operator.objects import Key, Object, Place


class Cache:
    """All objects of all kinds that are there. For one event loop."""

    def __init__(self, deciding: Mapping[str, Deciding]) -> None:
        """Know nothing yet; ``deciding`` tells what an object waits for."""
        self._deciding = deciding
        self._objects: dict[Key, Object] = {}
        self._awaited: dict[Key, tuple[Place, str]] = {}
        self._by_resource: dict[Place, dict[str, set[Key]]] = {}

    def __iter__(self) -> Iterator[Object]:
        """Return all objects."""
        return iter(self._objects.values())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._objects)

    def get(self, key: Key) -> Object | None:
        """Return what was last seen; None when there is no such object."""
        return self._objects.get(key)

    def put(self, thing: Object) -> bool:
        """Keep a view of an object unless a newer one is kept; tell whether it was newer."""
        old = self._objects.get(thing.key)
        if old is not None and not thing.is_newer_than(old):
            return False
        self._objects[thing.key] = thing
        self._wait_for(thing)
        return True

    def drop(self, thing: Object) -> bool:
        """Forget an object that is gone, unless another one has its name; tell whether it was."""
        old = self._objects.get(thing.key)
        if old is None or old.uid != thing.uid:
            return False
        del self._objects[thing.key]
        self._forget(thing.key)
        return True

    def places(self) -> frozenset[Place]:
        """Return where something is awaited."""
        return frozenset(self._by_resource)

    def awaiting(self, place: Place) -> Mapping[str, Iterable[Key]]:
        """Return who waits for which resource of a place."""
        return self._by_resource.get(place, {})

    def _wait_for(self, thing: Object) -> None:
        deciding = self._deciding[thing.plural]
        resource = deciding.awaited(thing)
        wanted = (deciding.place(thing), resource) if resource else None
        if self._awaited.get(thing.key) == wanted:
            return
        self._forget(thing.key)
        if wanted is not None:
            self._awaited[thing.key] = wanted
            self._by_resource.setdefault(wanted[0], {}).setdefault(resource, set()).add(thing.key)

    def _forget(self, key: Key) -> None:
        place, resource = self._awaited.pop(key, (None, ""))
        if place is None:
            return
        here = self._by_resource[place]
        here[resource].discard(key)
        if not here[resource]:
            del here[resource]
        if not here:
            del self._by_resource[place]
