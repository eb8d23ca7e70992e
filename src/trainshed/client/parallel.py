"""Carries out many small pieces of work, a few at once, without holding a list of them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Final, TypeVar

from trainshed.client.api import Api
from trainshed.client.errors import ApiError, ServerUnreachable

_TRIES: Final = 6
_FIRST_PAUSE: Final = 0.2
"""Seconds; each further one is twice as long: 6 s in all, in which a server starts again."""

Task = Callable[[], "Iterable[Task] | None"]
"""A piece of work; what it returns is further work that came of it."""
Sleep = Callable[[float], None]
T = TypeVar("T")


def run_all(cut: Callable[[], None], tasks: Iterable[Task], *, at_once: int) -> None:
    """Carry out every task, and what comes of it; further work goes before what has not begun.

    Tasks are asked for as they are needed, in the calling thread. The first error ends all: what
    is under way is broken off by ``cut``.
    """
    sources: list[Iterator[Task]] = [iter(tasks)]
    waiting: set[Future[Iterable[Task] | None]] = set()
    with ThreadPoolExecutor(at_once, "transfer") as pool, ExitStack() as undo:
        undo.callback(pool.shutdown, cancel_futures=True)
        undo.callback(cut)
        while True:
            task = _next(sources)
            if task is not None:
                waiting.add(pool.submit(task))
            elif not waiting:
                undo.pop_all()
                return
            if task is None or len(waiting) >= 2 * at_once:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                sources += [iter(more) for one in done if (more := one.result()) is not None]


def again_and_again(api: Api, work: Callable[[], T], sleep: Sleep) -> T:
    """Return what ``work`` returns; where the connection or the server failed, try again.

    Raises:
        ApiError, ServerUnreachable: it failed every time, or for a reason that stays.
    """
    pause = _FIRST_PAUSE
    for _ in range(_TRIES - 1):
        try:
            return work()
        except (ApiError, ServerUnreachable) as error:
            if api.was_cut or (isinstance(error, ApiError) and not passing(error)):
                raise
        sleep(pause)
        pause *= 2
    return work()


def passing(error: ApiError) -> bool:
    """Tell whether the server may answer otherwise a little later."""
    return error.status in {429, 500, 502, 503, 504} or error.code in {
        "RequestTimeout",
        "SlowDown",
        "ThrottlingException",
    }


def _next(sources: list[Iterator[Task]]) -> Task | None:
    """Return the next task of the newest source that has one; used-up sources are dropped."""
    while sources:
        task = next(sources[-1], None)
        if task is not None:
            return task
        sources.pop()
    return None
