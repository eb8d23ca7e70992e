"""Who is asked what: ``@asked(...)`` above a test names the clients that it is run with."""

import pytest

EVERY = ("boto3", "s5cmd", "aws", "rclone", "obstore")
PROGRAMS = ("s5cmd", "aws", "rclone")


def asked(*clients: str) -> pytest.MarkDecorator:
    """Run a test once with each of these clients."""
    return pytest.mark.parametrize("client", clients, indirect=True)
