"""Calls that a client sends again, because the server died behind its write."""

import pytest
from tests.api.sagemaker.shed import Shed, asked

from trainshed.domain.errors import RequestRejected

DIGITS = {"TrainingJobName": "digits"}


async def test_a_job_that_was_made_by_this_very_call_is_answered_again(shed: Shed) -> None:
    first = await shed.call("CreateTrainingJob", invocation="one", **asked())
    assert await shed.call("CreateTrainingJob", invocation="one", **asked()) == first
    for another in ("two", ""):
        with pytest.raises(RequestRejected, match="already exists"):
            await shed.call("CreateTrainingJob", invocation=another, **asked())


async def test_a_job_that_names_no_call_is_never_taken_for_a_repetition(shed: Shed) -> None:
    await shed.call("CreateTrainingJob", **asked())
    with pytest.raises(RequestRejected, match="already exists"):
        await shed.call("CreateTrainingJob", **asked())


async def test_stopping_is_answered_again_when_the_call_is_the_same(shed: Shed) -> None:
    arn = await shed.create()
    await shed.call("StopTrainingJob", invocation="one", **DIGITS)
    stopped = await shed.job(arn)
    assert await shed.call("StopTrainingJob", invocation="one", **DIGITS) == {}
    assert await shed.job(arn) == stopped
    with pytest.raises(RequestRejected, match="Stopping"):
        await shed.call("StopTrainingJob", invocation="two", **DIGITS)
