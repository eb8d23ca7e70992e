"""Feeds a Pipe channel: a named pipe per epoch, one after the other, as long as somebody reads.

    input/data/<channel>_0      all the data, to the end
    input/data/<channel>_1      all of it again, in the epoch's own order; there once _0 was taken
    …

A reader that closes early ends its epoch. When something goes wrong in the middle the pipe stays
open: an end of data would be taken for the end of the epoch. Source: Amazon SageMaker developer
guide, "How Amazon SageMaker Provides Training Information".
"""

import contextlib
import itertools
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trainshed.agent.channels.items import BadInput, source_of
from trainshed.agent.channels.order import Order
from trainshed.agent.feeding.ahead import Ahead
from trainshed.agent.feeding.contents import Contents, contents
from trainshed.agent.feeding.fifo import Bell, Closed, Fifo, ReaderLeft
from trainshed.agent.feeding.parts import Part
from trainshed.agent.feeding.pouring import Pour
from trainshed.contract.tree import Tree
from trainshed.domain.plan import NodePlan
from trainshed.stores.objects.remote.store import RemoteObjects

_BUDGET: Final = 32 << 20
"""Bytes of objects that wait for their turn, over all of a node's channels."""
_END_S: Final = 10.0


class Pipe:
    """One channel; see ``Feed``."""

    def __init__(
        self, channel: Mapping[str, Any], tree: Tree, plan: NodePlan, objects: RemoteObjects
    ) -> None:
        self._channel = channel
        self._name = channel["ChannelName"]
        self._tree = tree
        self._plan = plan
        self._objects = objects
        self._workshop = tree.base.with_name("feeding")
        self._budget = _BUDGET // max(len(plan.channels), 1)
        self._bell = Bell()
        self._lock = threading.Lock()
        self._served = threading.Event()
        self._served.set()
        self._folder = -1
        self._contents: Contents | None = None
        self._order: Order | None = None
        self._fifo: Fifo | None = None

    def open(self) -> None:
        """List what there is, and have the first epoch's pipe there; see ``Feed``."""
        self._workshop.mkdir(exist_ok=True, mode=0o700)
        self._refuse_clashes()
        source = source_of(self._channel)
        path = self._workshop / f"{self._name}.list"
        self._order = Order.of(self._channel, self._plan)
        self._contents = contents(source, self._objects, path)
        self._folder = os.open(self._tree.data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._fifo = self._made(0)

    def serve(self) -> None:
        """Serve epoch after epoch; see ``Feed``."""
        self._served.clear()
        try:
            with contextlib.suppress(Closed):
                for epoch in itertools.count():
                    fifo = self._fifo  # gone a moment later where the feed is closed
                    if fifo is None or not fifo.wait_for_reader():
                        return
                    self._pour(fifo, epoch)
                    if not self._turned_to(epoch + 1):
                        return
        finally:
            self._served.set()

    def close(self) -> None:
        """End it; see ``Feed``."""
        self._bell.ring()
        with self._lock:
            fifo, self._fifo = self._fifo, None
        if fifo is not None:
            fifo.release()
            self._served.wait(_END_S)
            fifo.end()
        if self._contents is not None:
            self._contents.close()
            self._contents = None
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def _refuse_clashes(self) -> None:
        """Refuse a channel whose pipes would lie where another channel does."""
        epochs = re.compile(re.escape(self._name) + r"_\d+")
        for other in (channel["ChannelName"] for channel in self._plan.channels):
            if epochs.fullmatch(other):
                raise BadInput(
                    f'ClientError: the pipes of channel "{self._name}" are called '
                    f'"{self._name}_0", "{self._name}_1", …, and there is a channel "{other}"'
                )

    def _made(self, epoch: int) -> Fifo:
        name = f"{self._name}_{epoch}"
        try:
            # The first one may lie there: a container that starts by itself begins by it.
            return Fifo(self._folder, name, self._workshop, self._bell, laid=epoch == 0)
        except IsADirectoryError as error:
            raise BadInput(
                f'ClientError: channel "{self._name}": there is a folder called {name} in '
                "input/data, where its next pipe should be"
            ) from error

    def _turned_to(self, epoch: int) -> bool:
        """Have an epoch's pipe there, then end the last one: who saw its end finds the next.

        Return False when the container has taken the folder away, and so wants no more, or when
        the feed is being closed.
        """
        following: Fifo | None = None
        with contextlib.suppress(FileNotFoundError):
            following = self._made(epoch)
        with self._lock:
            closing = self._bell.rung.is_set()  # whoever rang it ends the pipe that is there now
            past = following if closing else self._fifo
            if not closing:
                self._fifo = following
        if past is not None:
            past.end()
        return following is not None and not closing

    def _pour(self, fifo: Fifo, epoch: int) -> None:
        ahead = Ahead(self._objects, self._budget)
        pour = Pour(fifo, self._objects, self._channel, self._workshop)
        try:
            for begun in ahead.begun(self._parts(epoch)):
                pour.take(begun)
        except ReaderLeft:
            pass
        finally:
            ahead.close()

    def _parts(self, epoch: int) -> Iterator[Part]:
        if self._contents is None or self._order is None:
            raise Closed
        for number in self._order.numbers(len(self._contents), epoch):
            yield from self._contents.parts(number)
