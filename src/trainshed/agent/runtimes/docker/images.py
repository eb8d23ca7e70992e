"""Has a node's image on the machine: looked up, or pulled with its progress told."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from trainshed.agent.node import Node, NodeOver
from trainshed.agent.runtimes.docker import files, registry
from trainshed.agent.runtimes.docker.engine import Engine, EngineAway, EngineError, Stream
from trainshed.agent.runtimes.docker.spec import Image
from trainshed.domain.facts import Kind, Outcome

_TELL_S: Final = 5.0
"""Seconds between two lines about a pull."""
_LOOK_S: Final = 0.1
"""How often to look whether the node was asked to stop."""
_MORE_TRIES: Final = 2
_PAUSE_S: Final = 2.0
_MB: Final = 1e6


def fetch(node: Node, engine: Engine) -> Image:
    """Return the node's image, which is then on the machine; it is journaled once.

    Raises:
        NodeOver: it can't be had, or the node was asked to stop.
        EngineError: the engine does not answer, or is in trouble itself.
    """
    name = node.plan.image
    if not name:
        raise NodeOver(
            Outcome.FAILED,
            "ClientError: the job names no TrainingImage, and this backend has none in its place; "
            "name one, or map one in [backends.docker.images]",
        )
    known = node.journal.last(Kind.IMAGE)
    if known is not None and (found := _inspected(engine, str(known.detail["id"]), name)):
        return found
    found = None if node.plan.pull == "always" else _inspected(engine, name, name)
    if found is None:
        _refuse_id(name)
        _pull(node, engine, name)
        found = _inspected(engine, name, name)
    if found is None:
        raise NodeOver(Outcome.LOST, f'InternalServerError: the image "{name}" went away again')
    if known is None or known.detail["id"] != found.id:
        node.journal.append(Kind.IMAGE, id=found.id, digest=found.digest)
    return found


def _inspected(engine: Engine, name: str, asked: str) -> Image | None:
    try:
        found = files.described(engine, name)
    except EngineError as error:
        if error.status != 400 and "invalid reference format" not in str(error):
            raise  # the engine's own trouble
        raise NodeOver(
            Outcome.FAILED,
            f'ClientError: TrainingImage "{asked}" is no name of an image: {error}',
        ) from error
    return None if found is None else Image.of(found, asked)


def _refuse_id(name: str) -> None:
    """Registries know no ids.

    Raises:
        NodeOver: the name is one.
    """
    if name.startswith("sha256:"):
        raise NodeOver(
            Outcome.FAILED,
            f'ClientError: no image on this machine has the id "{name}", and ids cannot be pulled; '
            "name the image by its tag, or by its digest (repository@sha256:…)",
        )


def _pull(node: Node, engine: Engine, name: str) -> None:
    node.journal.once(Kind.PULLING)
    node.reporter.start()
    node.log.say(f"pulling {name}")
    headers = registry.authorization(name)
    error = _pulled(node, engine, name, headers)
    for _ in range(_MORE_TRIES):
        if not registry.is_passing(error):
            break
        node.log.say(f"pulling {name}: {error}; trying again")
        time.sleep(_PAUSE_S)
        error = _pulled(node, engine, name, headers)
    if error:
        raise registry.refusal(name, error, anonymous=not headers)


def _pulled(node: Node, engine: Engine, name: str, headers: dict[str, str]) -> str:
    """Pull, and return what the engine says went wrong; "" when the image is there.

    Raises:
        EngineAway: it went away meanwhile, which is no fault of the image's.
    """
    pull = _Pull(engine, name, headers, node.log.say)
    while not pull.over.wait(_LOOK_S):
        if node.stop.called_off:
            pull.interrupt()
            raise NodeOver(Outcome.STOPPED)
    if pull.away is not None:
        raise pull.away
    return pull.error


class _Pull:
    """One pull, in a thread of its own."""

    def __init__(
        self, engine: Engine, name: str, headers: dict[str, str], say: Callable[[str], None]
    ) -> None:
        self.over = threading.Event()
        self.error = ""
        self.away: EngineAway | None = None
        self._engine = engine
        self._name = name
        self._headers = headers
        self._say = say
        self._stream: Stream | None = None
        self._interrupted = False
        self._progress = Progress()
        threading.Thread(target=self._run, name="docker-pull", daemon=True).start()

    def interrupt(self) -> None:
        """Stop pulling; the engine drops what it was at."""
        self._interrupted = True
        if self._stream is not None:
            self._stream.interrupt()

    def _run(self) -> None:
        repository, tag = registry.split(self._name)
        try:
            with self._engine.stream(
                "POST",
                "/images/create",
                headers=self._headers,
                fromImage=repository,
                tag=tag,
            ) as self._stream:
                self._follow(self._stream)
        except EngineAway as away:
            self.away = away
        except EngineError as error:
            self.error = str(error)
        finally:
            self.over.set()

    def _follow(self, stream: Stream) -> None:
        told_at, told = time.monotonic(), ""
        for line in stream.objects():
            if self._interrupted:
                return
            if "error" in line:
                self.error = str((line.get("errorDetail") or {}).get("message") or line["error"])
                return
            self._progress.note(line)
            if time.monotonic() >= told_at + _TELL_S:
                told_at = time.monotonic()
                if (text := str(self._progress)) and text != told:
                    self._say(f"pulling {self._name}: {text}")
                    told = text
        self._say(f"pulled {self._name}: {self._progress.summary()}")


class Progress:
    """How far a pull has come, from the lines that the engine tells."""

    def __init__(self) -> None:
        self._done: set[str] = set()
        self._sizes: dict[str, tuple[int, int]] = {}
        self._layers: set[str] = set()

    def note(self, line: dict[str, Any]) -> None:
        """Take one line: ``{"status", "id", "progressDetail": {"current", "total"}}``."""
        layer, status = str(line.get("id", "")), str(line.get("status", ""))
        if not layer or status.startswith("Pulling from"):
            return
        self._layers.add(layer)
        detail = line.get("progressDetail") or {}
        if status == "Downloading" and detail.get("total"):
            self._sizes[layer] = int(detail.get("current", 0)), int(detail["total"])
        elif status in {"Download complete", "Pull complete", "Extracting"}:
            size = self._sizes.get(layer, (0, 0))[1]
            self._sizes[layer] = size, size
        if status in {"Pull complete", "Already exists"}:
            self._done.add(layer)

    def summary(self) -> str:
        """Return what was pulled in all."""
        return f"{len(self._layers)} layers, {self._bytes()[1] / _MB:.1f} MB"

    def __str__(self) -> str:
        got, total = self._bytes()
        if not self._layers:
            return ""
        percent = f", {100 * got // total}%" if total else ""
        return (
            f"{len(self._done)} of {len(self._layers)} layers, "
            f"{got / _MB:.1f} of {total / _MB:.1f} MB{percent}"
        )

    def _bytes(self) -> tuple[int, int]:
        return sum(got for got, _ in self._sizes.values()), sum(
            total for _, total in self._sizes.values()
        )
