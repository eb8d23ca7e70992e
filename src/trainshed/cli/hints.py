"""From the reason a job failed to the one thing that its owner should do first."""

from trainshed.domain.advice import advice, says_what_to_do


def hint(reason: str, name: str) -> str:
    """Return one thing to do about a failure; "" where the reason says it already.

    Args:
        reason: DescribeTrainingJob's ``FailureReason``.
        name: the job's name.
    """
    if says_what_to_do(reason):
        return ""
    found = advice(reason, name)
    if not found:
        return f"the last lines of 'trainshed logs {name}' say more"
    return found[0]
