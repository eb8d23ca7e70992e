"""Those who wait for changes."""

import asyncio

from trainshed.stores.records.changes import InProcessChanges


async def test_several_waiters_each_hear_every_change() -> None:
    first = InProcessChanges()
    second, third = first.watch(), first.watch()
    waiting = [asyncio.create_task(each.next(60)) for each in (first, second)]
    await asyncio.sleep(0)
    second.mark("a")
    assert await asyncio.gather(*waiting) == [{"a"}, {"a"}]
    first.mark("b")
    assert await third.next(60) == {"a", "b"}
    assert await first.next(60) == {"b"}


async def test_a_change_before_the_waiting_is_not_missed() -> None:
    changes = InProcessChanges()
    changes.mark("a")
    assert await changes.next(0) == {"a"}
    assert await changes.next(0) == frozenset()


async def test_what_is_marked_while_nobody_waits_is_told_once() -> None:
    changes = InProcessChanges()
    for arn in "aab":
        changes.mark(arn)
    assert await changes.next(60) == {"a", "b"}
    assert await changes.next(0) == frozenset()


async def test_a_waiter_that_gave_up_loses_nothing() -> None:
    changes = InProcessChanges()
    waiting = asyncio.create_task(changes.next(60))
    await asyncio.sleep(0)
    changes.mark("a")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert await changes.next(60) == {"a"}


async def test_a_watch_that_was_dropped_is_forgotten() -> None:
    changes = InProcessChanges()
    watch = changes.watch()
    del watch
    changes.mark("a")
    assert len(changes._all) == 1
