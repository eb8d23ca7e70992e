"""Runs one job through the SageMaker SDK v2, in its local mode and on a server, turn by turn.

python bench/local_mode.py IMAGE ROUNDS: in the SDK's own environment, with AWS_ENDPOINT_URL and
keys of a server. Prints one line of JSON: the seconds of each round, from ``fit`` to the end.
"""

import io
import json
import random
import sys
import time
from contextlib import redirect_stdout

import boto3
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.session import Session

ROLE = "arn:aws:iam::123456789012:role/training-role"
FILES = 400
"""Of 10 kB each, in the channel ``train``: a small set of pictures."""
PROGRAM = (
    "import pathlib as p; found = p.Path('/opt/ml/input/data/train').rglob('*.bin'); "
    "p.Path('/opt/ml/model/size').write_text(str(sum(len(f.read_bytes()) for f in found)))"
)


def job(image: str, instance: str, session: Session) -> Estimator:
    return Estimator(
        image_uri=image,
        role=ROLE,
        instance_count=1,
        instance_type=instance,
        output_path="s3://bench/output",
        sagemaker_session=session,
        container_entry_point=["python3"],
        container_arguments=["-c", PROGRAM],
    )


def local(image: str, bucket: str) -> float:
    """Return the seconds that local mode takes; ``fit`` returns when the container is over."""
    session = LocalSession(default_bucket=bucket)
    estimator = job(image, "local", session)
    began = time.perf_counter()
    estimator.fit({"train": f"s3://{bucket}/train"})
    return time.perf_counter() - began


def server(image: str, bucket: str) -> float:
    """Return the seconds until a server says Completed (``fit`` itself looks every 5 s only)."""
    session = Session(default_bucket=bucket)
    client = boto3.client("sagemaker")
    estimator = job(image, "ml.m5.large", session)
    began = time.perf_counter()
    estimator.fit({"train": f"s3://{bucket}/train"}, wait=False)
    name = estimator.latest_training_job.name
    while (told := client.describe_training_job(TrainingJobName=name))[
        "TrainingJobStatus"
    ] == "InProgress":
        time.sleep(0.05)
    took = time.perf_counter() - began
    if told["TrainingJobStatus"] != "Completed":
        raise RuntimeError(told)
    return took


def main(image: str, rounds: int) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bench")
    for index in range(FILES):
        s3.put_object(Bucket="bench", Key=f"train/{index:04}.bin", Body=random.randbytes(10_000))
    found: dict[str, list[float]] = {"local": [], "server": []}
    with redirect_stdout(io.StringIO()):
        server(image, "bench")
        for _ in range(rounds):
            for name, run in (("local", local), ("server", server)):
                # The engine clears away what ran before, and a person is slower too.
                time.sleep(2)
                found[name].append(run(image, "bench"))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
