"""``trainshed aws-model``: where AWS clients find the model of our own service."""

from pathlib import Path

import trainshed


def aws_model() -> None:
    """Print the folder to name in AWS_DATA_PATH: AWS clients then know the service trainshed."""
    print(Path(trainshed.__file__).parent / "wire" / "models")
