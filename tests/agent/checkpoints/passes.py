"""A host that makes passes over its folder, and a store that does things between two bytes."""

import json
from collections.abc import Callable
from pathlib import Path

from trainshed.agent.checkpoints.kept import Kept
from trainshed.agent.checkpoints.place import Place
from trainshed.agent.checkpoints.sync import Pass, Sync, Trust, Whose
from trainshed.agent.watching.ending import Ending
from trainshed.agent.written.folder import Folder
from trainshed.domain.errors import ObjectMissing, StoreError
from trainshed.stores.objects.addresses import Address, parse
from trainshed.stores.objects.remote.entries import Entry
from trainshed.stores.objects.remote.sinks import Sink
from trainshed.stores.objects.remote.troubles import StoreAway

SEEN_AS = "/opt/ml/checkpoints"


class Store:
    """Objects in memory; ``meanwhile`` is done after the first bytes of an object came."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.acts: list[str] = []
        self.meanwhile: Callable[[str], None] = lambda key: None
        self.away = False
        self.refuses = ""

    def put(self, address: Address, write: Callable[[Sink], None]) -> None:
        if self.away:
            raise StoreAway("the store is away")
        if self.refuses and self.refuses in address.key:
            raise StoreError("access denied")
        taken = _Taken(lambda: self.meanwhile(address.key))
        write(taken)
        self.objects[address.key] = bytes(taken.data)
        self.acts.append(f"put {address.key}")

    def stat(self, address: Address) -> Entry:
        if address.key not in self.objects:
            raise ObjectMissing(address.key)
        return Entry(
            address.key, len(self.objects[address.key]), str(hash(self.objects[address.key]))
        )

    def read(self, address: Address, limit: int) -> bytes:
        if address.key not in self.objects:
            raise ObjectMissing(address.key)
        return self.objects[address.key][:limit]

    def delete(self, address: Address) -> None:
        if self.away:
            raise StoreAway("the store is away")
        self.objects.pop(address.key, None)
        self.acts.append(f"delete {address.key}")

    def files(self) -> dict[str, bytes]:
        return {key[2:]: body for key, body in self.objects.items() if "/.trainshed/" not in key}

    def manifest(self, host: str = "algo-1") -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = json.loads(self.objects[f"c/.trainshed/{host}.json"])[
            "files"
        ]
        return found


class _Taken:
    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.data = bytearray()
        self._meanwhile = meanwhile

    def write(self, data: bytes, /) -> int:
        first = not self.data
        self.data += data
        if first:
            self._meanwhile()
        return len(data)


class Busy(Ending):
    """A container that does something whenever somebody waits whether it ends; counts from 1."""

    def __init__(self, act: Callable[[int], object]) -> None:
        super().__init__()
        self._act = act
        self._waits = 0

    def wait(self, seconds: float) -> bool:
        self._waits += 1
        self._act(self._waits)
        return super().wait(0)


class Host:
    """One host's folder, and what keeps it."""

    def __init__(self, folder: Path, store: Store, name: str, hosts: tuple[str, ...]) -> None:
        self.root = folder / name / "checkpoints"
        self.root.mkdir(parents=True)
        self.store = store
        self.ending = Ending()
        self.said: list[str] = []
        self._state = folder / f"{name}.jsonl"
        self._whose = Whose(job="j", attempt="1.1", host=name, hosts=hosts)
        self.start()

    def start(self) -> None:
        """Begin as an agent that is new, or has been started again, does."""
        self.kept = Kept(self._state)
        self._sync = Sync(
            folder=Folder(self.root, self.root.parent, seen_as=SEEN_AS, own=".trainshed"),
            place=Place(parse("s3://b/c")),
            objects=self.store,  # type: ignore[arg-type]
            kept=self.kept,
            ending=self.ending,
            whose=self._whose,
            say=self.said.append,
            settle_s=0.03,
        )

    def write(self, path: str, data: bytes = b"x") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def run(self, trust: Trust = Trust.LIVE) -> Pass:
        self.store.acts.clear()
        return self._sync.run(trust)

    def end(self) -> None:
        self.ending.note_over()
