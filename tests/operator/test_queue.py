"""Who is looked at when."""

import asyncio

from trainshed.operator.objects import Key
from trainshed.operator.queue import Queue

A, B = Key("trainingjobs", "default", "a"), Key("trainingjobs", "default", "b")


async def test_what_is_added_twice_is_looked_at_once() -> None:
    queue = Queue()
    queue.add(A)
    queue.add(A)
    assert await queue.take() == A
    assert len(queue) == 0


async def test_what_is_added_while_it_is_worked_on_is_looked_at_once_more() -> None:
    queue = Queue()
    queue.add(A)
    assert await queue.take() == A
    queue.add(A)
    queue.add(A)
    queue.add(B)
    assert await queue.take() == B
    assert len(queue) == 0, "nobody else may have it"
    queue.done(A)
    assert await queue.take() == A


async def test_pauses_double_up_to_a_limit_and_begin_anew_when_forgiven() -> None:
    queue = Queue(first_pause=1.0, longest=10.0)
    pauses = [queue.retry(A) for _ in range(6)]
    for pause, meant in zip(pauses, [1, 2, 4, 8, 10, 10], strict=True):
        assert 0.8 * meant <= pause <= 1.2 * meant
    queue.forgive(A)
    assert queue.retry(A) <= 1.2
    queue.close()


async def test_the_sooner_of_two_times_counts() -> None:
    queue = Queue()
    queue.add_later(A, 3600)
    queue.add_later(A, 0)
    queue.add_later(A, 3600)
    assert await asyncio.wait_for(queue.take(), 10) == A
    queue.close()


async def test_what_is_gone_is_not_looked_at_later() -> None:
    queue = Queue()
    queue.add_later(A, 0)
    queue.forget(A)
    queue.add_later(B, 0)
    assert await asyncio.wait_for(queue.take(), 10) == B
    assert len(queue) == 0
    queue.close()


async def test_nothing_is_given_out_once_the_queue_is_closed() -> None:
    queue = Queue()
    queue.add(A)
    queue.close()
    assert await queue.take() is None
