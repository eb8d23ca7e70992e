"""Brings the channels and the code in, before the container starts."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from queue import Queue
from typing import Any, Final

from trainshed.agent.channels import BadInput, Item, items, source_of
from trainshed.agent.node import Node, NodeOver
from trainshed.agent.steps.layout import is_for
from trainshed.contract import script_mode
from trainshed.domain.errors import StoreError
from trainshed.domain.facts import Kind, Outcome
from trainshed.stores.objects.addresses import parse
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

_WORKERS: Final = 16
_PATIENCE_S: Final = 24 * 3600.0
"""A server may be down for a night; an address where nobody will ever answer must end a job."""


def bring_inputs(node: Node) -> None:
    """Stage every File channel and the code archive; a second call starts over, unless all ran.

    Raises:
        NodeOver: a channel can't be brought in, or the node was asked to stop.
    """
    if node.journal.last(Kind.TRAINING) is not None:
        return
    group = node.plan.instance_group
    channels = [channel for channel in node.plan.channels if is_for(channel, group)]
    archive = _archive_address(node)
    if not channels and not archive:
        return
    node.journal.once(Kind.DOWNLOADING)
    node.reporter.start()
    objects = RemoteObjects.for_node(
        node.plan,
        cancelled=lambda: node.stop.asked,
        patience_s=_PATIENCE_S,
        complain=node.log.say,
    )
    try:
        if archive:
            _fetch_code(node, archive, objects)
        for channel in channels:
            _stage(node, channel, objects)
    except Cancelled as cancelled:
        raise NodeOver(Outcome.STOPPED) from cancelled
    except BadInput as bad:
        raise NodeOver(Outcome.FAILED, str(bad)) from bad
    except StoreAway as away:
        raise NodeOver(Outcome.LOST, f"InternalServerError: {away}") from away
    except StoreError as error:
        raise NodeOver(Outcome.FAILED, f"ClientError: Data download failed:{error}") from error


def _archive_address(node: Node) -> str:
    """Return where the code archive lies; "" when it is a folder of the container, or none."""
    if not node.runtime.brings_code(node):
        return ""
    hyperparameters = node.plan.hyperparameters
    named = script_mode.read_value(hyperparameters.get(script_mode.SUBMIT_DIRECTORY, ""))
    return named if isinstance(named, str) and named.startswith(("s3://", "file://")) else ""


def _fetch_code(node: Node, named: str, objects: RemoteObjects) -> None:
    node.source_archive.unlink(missing_ok=True)
    try:
        objects.fetch(parse(named), node.source_archive)
    except ValueError as error:
        raise BadInput(f"ClientError: {script_mode.SUBMIT_DIRECTORY}: {error}") from error
    node.source_archive.chmod(0o644)


def _stage(node: Node, channel: Mapping[str, Any], objects: RemoteObjects) -> None:
    """Fetch one channel's objects side by side, and write the list of its files."""
    name, plan = channel["ChannelName"], node.plan
    mode = channel.get("InputMode") or plan.input_mode
    if mode == "Pipe":
        raise BadInput(
            f'ClientError: channel "{name}" asks for the input mode Pipe, which this place does '
            "not offer yet; use File"
        )
    if mode == "FastFile":
        node.log.say(
            f"channel {name}: FastFile is not offered here yet; its files are copied first"
        )
    source = source_of(channel)
    wanted = items(source, objects, plan.hosts.index(plan.host), len(plan.hosts))
    folder = node.tree.channel(name)
    manifest = _manifest(folder, plan.channels)
    _empty(folder)
    with manifest.open("w") as listed, _Crew(objects, folder) as crew:
        for item in wanted:
            crew.take(item)
            if not item.path.endswith("/"):
                listed.write(f"{item.path}\n")


def _manifest(folder: Path, channels: Iterable[Mapping[str, Any]]) -> Path:
    """Return where the list of a channel's files goes; nowhere if another channel is called so."""
    found = folder.with_name(f"{folder.name}-manifest")
    taken = any(channel["ChannelName"] == found.name for channel in channels)
    return Path(os.devnull) if taken else found


class _Crew:
    """Threads that fetch objects into one folder; the first trouble ends them all."""

    def __init__(self, objects: RemoteObjects, folder: Path) -> None:
        self._objects = objects
        self._folder = folder
        self._waiting: Queue[Item | None] = Queue(maxsize=2 * _WORKERS)
        self._trouble: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "_Crew":
        return self

    def take(self, item: Item) -> None:
        """Have an object fetched; wait while enough others are under way.

        Raises:
            BadInput, StoreError: an earlier one failed.
        """
        if self._trouble:
            raise self._trouble[0]
        if len(self._threads) < _WORKERS:
            self._threads.append(threading.Thread(target=self._work, daemon=True))
            self._threads[-1].start()
        self._waiting.put(item)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._trouble.append(BadInput("another object failed"))
        for _thread in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        if self._trouble and kind is None:
            raise self._trouble[0]

    def _work(self) -> None:
        for item in self._taken():
            try:
                _fetch(self._objects, item, self._folder)
            except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
                self._trouble.append(error)

    def _taken(self) -> Iterator[Item]:
        """Yield what is to be fetched; once something failed only empty the queue."""
        while (item := self._waiting.get()) is not None:
            if not self._trouble:
                yield item


def _fetch(objects: RemoteObjects, item: Item, folder: Path) -> None:
    target = folder / item.path
    try:
        if item.path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        objects.fetch(item.address, target)
        target.chmod(0o644)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as clash:
        raise BadInput(
            f"ClientError: Data download failed:S3 key: {item.address} would be written to "
            f"{item.path!r}, where another object of the channel lies"
        ) from clash
    except OSError as error:
        raise BadInput(
            f"ClientError: Data download failed:S3 key: {item.address} cannot be written to "
            f"{item.path!r}: {error.strerror}"
        ) from error


def _empty(folder: Path) -> None:
    """Make the folder anew: what an agent that died has left there is in part."""
    if folder.exists():
        import shutil  # noqa: PLC0415 - 10 ms, and only after a crash

        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o755)
