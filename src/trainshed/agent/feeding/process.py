"""The process that feeds a node's channels to its container, and outlives the agent as that does.

    agent --starts--> feeding process --pipes, mounts--> container
          <--socket--                                                (see ``place``)

A thread opens the feeds and has each served by a thread of its own; the main thread listens to
agents. In trouble nothing is taken away: the container is killed first, by an agent that is told.
It ends when an agent says so, when the node is over, and when its folder is gone.
"""

import contextlib
import importlib
import os
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from trainshed.agent import own_log
from trainshed.agent.channels.items import BadInput
from trainshed.agent.channels.modes import Mode, fed_below
from trainshed.agent.feeding import place
from trainshed.agent.feeding.base import Feed
from trainshed.agent.feeding.place import Talk
from trainshed.agent.runtimes.sibling.keeping import hide
from trainshed.contract.tree import Tree
from trainshed.domain import pods
from trainshed.domain.errors import StoreError
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.remote.store import RemoteObjects
from trainshed.stores.objects.remote.troubles import Cancelled, StoreAway

FEEDS: Final[Mapping[Mode, tuple[str, str]]] = {
    Mode.PIPE: ("trainshed.agent.feeding.pipe", "Pipe"),
    Mode.FAST_FILE: ("trainshed.agent.feeding.fastfile", "FastFile"),
}
"""Module and class of each mode's feed; made as ``Feed(channel, tree, plan, objects)``."""

_PATIENCE_S: Final = 24 * 3600.0
"""As staging has: a server may be down for a night."""
_LOOK_S: Final = 1.0
"""How often to look whether the node is over, while no agent is there to say so."""
_END_S: Final = 10.0
_TAIL: Final = 65536
"""Bytes of a journal's end that surely hold its last fact, the reason of a failure included."""


class Told:
    """What agents are to know. Written by any thread; agents that come late are told all of it."""

    def __init__(self, path: Path) -> None:
        """Keep at ``path`` why the container can't go on, for agents that never meet us."""
        self._path = path
        self._lock = threading.Lock()
        self._notes: list[str] = []
        self.ready = threading.Event()
        self.trouble = ""
        self.fd, self._bell = os.pipe()
        """``fd`` is readable after each change."""

    def note(self, text: str) -> None:
        """Have it said in the job's log."""
        with self._lock:
            self._notes.append(text)
        os.write(self._bell, b".")

    def note_ready(self) -> None:
        """All feeds are open."""
        self.ready.set()
        os.write(self._bell, b".")

    def note_trouble(self, reason: str) -> None:
        """The container can't go on; of several reasons the first counts."""
        with self._lock:
            if not self.trouble:
                self.trouble = reason
                with contextlib.suppress(OSError):  # a full disk; who is connected is told
                    self._path.write_text(reason)
        os.write(self._bell, b".")

    def note_fault(self, fault: threading.ExceptHookArgs) -> None:
        """A thread ended by a fault of ours; fit to be ``threading.excepthook``."""
        threading.__excepthook__(fault)
        what = f"{fault.exc_type.__name__}: {fault.exc_value}"
        self.note_trouble(f"InternalServerError: feeding failed: {what}")

    def notes(self) -> list[str]:
        """Return what is to be said and was not taken before."""
        with self._lock:
            found, self._notes = self._notes, []
        return found


def main(folder: Path, lock: int, door: int) -> NoReturn:
    """Feed a node's channels until nobody needs them any more, then end the process.

    Args:
        folder: the node's.
        lock: ``feeding.lock``, held; it is let go by our end.
        door: the listening socket.
    """
    if pods.POD_VARIABLE in os.environ:  # as whoever has started us
        hide()
    own_log.say_what_there_is_room_for()
    os.set_inheritable(lock, False)
    os.set_inheritable(door, False)
    os.chdir("/")
    told, closing = Told(folder / place.TROUBLE), threading.Event()
    threading.excepthook = told.note_fault
    feeding = threading.Thread(target=_feed, args=(folder, told, closing), daemon=True)
    feeding.start()
    _listen(folder, socket.socket(fileno=door), told)
    closing.set()
    feeding.join(_END_S)
    sys.stderr.flush()
    os._exit(0)  # threads may wait for a store that is away


def _feed(folder: Path, told: Told, closing: threading.Event) -> None:
    """Open, have served, and close; in a thread."""
    feeds: list[Feed] = []

    def look_after(what: Callable[[], None], name: str) -> bool:
        try:
            what()
        except Cancelled:
            return False
        except (BadInput, StoreError, OSError) as error:
            told.note_trouble(_reason(error, name))
            return False
        return True

    def aside(what: Callable[[], None], name: str = "") -> threading.Thread:
        """Have it looked after by a thread of its own: a fault of ours ends that, and is told."""
        thread = threading.Thread(target=look_after, args=(what, name), daemon=True)
        thread.start()
        return thread

    def open_all() -> None:
        for name, feed in _made(folder, told, closing):
            feeds.append(feed)
            if not look_after(feed.open, name):
                return
            aside(feed.serve, name)
        told.note_ready()

    aside(open_all).join()
    closing.wait()
    for feed in reversed(feeds):
        aside(feed.close).join()


def _made(folder: Path, told: Told, closing: threading.Event) -> Sequence[tuple[str, Feed]]:
    plan = NodePlan.from_json((folder / "plan.json").read_text())
    modes = fed_below(folder)
    objects = RemoteObjects.for_node(
        plan, cancelled=closing.is_set, patience_s=_PATIENCE_S, complain=told.note
    )
    found = []
    for channel in plan.channels:
        name = channel["ChannelName"]
        if name in modes:
            module, kind = FEEDS[modes[name]]
            make: Callable[..., Feed] = getattr(importlib.import_module(module), kind)
            found.append((name, make(channel, Tree(folder / "ml"), plan, objects)))
    return found


def _reason(error: BadInput | StoreError | OSError, name: str) -> str:
    """Return the FailureReason of what went wrong while a channel was fed."""
    match error:
        case BadInput():
            return str(error)
        case StoreAway():
            return f"InternalServerError: {error}"
        case StoreError():
            return f"ClientError: Data download failed:{error}"
        case OSError():
            return f'InternalServerError: channel "{name}" cannot be fed here: {error}'


def _listen(folder: Path, door: socket.socket, told: Told) -> None:
    """Return when the feeding is to end."""
    selector = selectors.DefaultSelector()
    selector.register(door, selectors.EVENT_READ)
    selector.register(told.fd, selectors.EVENT_READ)
    agents: list[Talk] = []
    while True:
        for key, _ in selector.select(None if agents else _LOOK_S):
            if key.fileobj is door:
                agents.append(Talk(door.accept()[0]))
                selector.register(agents[-1], selectors.EVENT_READ)
                _tell(agents[-1], {"pid": os.getpid()})
            elif key.fd == told.fd:
                os.read(told.fd, 4096)
        for talk in [each for each in agents if each.waits]:
            heard = talk.hear()
            if heard is None:
                selector.unregister(talk)
                agents.remove(talk)
                talk.close()
            elif any("end" in said for said in heard):
                return
        _tell_all(agents, told)
        if not agents and _is_over(folder):
            return


def _tell_all(agents: Sequence[Talk], told: Told) -> None:
    """Tell the agents everything they have not heard; again does no harm."""
    if not agents:
        return
    for text in told.notes():
        _tell(agents[-1], {"say": text})
    for talk in agents:
        if told.trouble:
            _tell(talk, {"trouble": told.trouble})
        elif told.ready.is_set():
            _tell(talk, {"ready": True})


def _tell(talk: Talk, what: Mapping[str, Any]) -> None:
    try:
        talk.say(what)
    except OSError:  # it is gone; we shall hear of that
        return


def _is_over(folder: Path) -> bool:
    """Tell whether the node has come to its end, or was removed."""
    try:
        with (folder / "journal.jsonl").open("rb") as journal:
            journal.seek(max(journal.seek(0, os.SEEK_END) - _TAIL, 0))
            *_, last, _unfinished = [b"", b"", *journal.read().split(b"\n")]
    except OSError:
        return True
    return b'"kind": "ended"' in last
