"""One runtime with a server before it: runs each job once, whoever asks for it.

pytest may spread the tests over processes. Each has a server of its own, started when it first has
a job to run; what was seen of a job is shared by a file, so no job runs twice.
"""

import fcntl
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from tests.contract import images
from tests.contract.job import BUCKET, TREE, Job, Seen, packed
from tests.journeys.shed import LOG_GROUP, Shed, until

from trainshed.testing.server import Server

PROBE = Path(__file__).with_name("probe.py")
OVER = {"Completed", "Failed", "Stopped"}


def refused(ask: Callable[[], object]) -> str:
    """Return the error that a request is answered with; "" when it is done."""
    try:
        ask()
    except ClientError as error:
        told = error.response["Error"]
        return f"{told['Code']}: {told['Message']}"
    return ""


class Place:
    """A runtime, and what its jobs looked like."""

    def __init__(self, runtime: str, shared: Path, own: Path) -> None:
        """Keep what was seen in ``shared``; the server's data goes to ``own``."""
        self.runtime = runtime
        self._shared = shared
        self._own = own
        self._server: Server | None = None
        self._shed: Shed | None = None

    def run(self, job: Job) -> Seen:
        """Return what was seen of the job; run it if nobody has."""
        path = self._shared / f"{self.runtime}-{job.name}"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                seen = self._run(job)
                path.write_bytes(pickle.dumps(seen))
        found: Seen = pickle.loads(path.read_bytes())
        return found

    @property
    def shed(self) -> Shed:
        """A user before this runtime's server."""
        if self._shed is None:
            self._own.mkdir(parents=True, exist_ok=True)
            with (self._shared / f"{self.runtime}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                settings = images.settings(self.runtime, self._own)
            self._server = Server(self._own / "data", settings).start()
            self._shed = Shed(self._server, self._own)
        return self._shed

    def close(self) -> None:
        """Stop the server; every job is over."""
        if self._server is not None:
            self._server.stop()

    def _run(self, job: Job) -> Seen:
        shed = self.shed
        name = f"contract-{job.name}"
        for key, body in self._objects(job).items():
            shed.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        shed.create(**self._request(job, name))
        at_first = shed.describe(name)
        if job.meanwhile is not None:
            job.meanwhile(shed, name)
        until(
            lambda: shed.describe(name)["TrainingJobStatus"] in OVER,
            lambda: f"{shed.describe(name)}\n{shed.server.said()}",
            timeout=120,
        )
        stop = refused(lambda: shed.sagemaker.stop_training_job(TrainingJobName=name))
        return self._seen(job, name, at_first, stop)

    def _seen(self, job: Job, name: str, at_first: Mapping[str, Any], stop: str) -> Seen:
        shed = self.shed
        told = shed.describe(name)
        place = told["OutputDataConfig"]["S3OutputPath"].removeprefix(f"s3://{BUCKET}/").rstrip("/")
        folder = f"{place}/{name}/"
        return Seen(
            runtime=self.runtime,
            name=name,
            at_first=at_first,
            late_stop=stop,
            told={key: value for key, value in told.items() if key != "ResponseMetadata"},
            lines={f"algo-{n}": shed.lines(name, f"algo-{n}") for n in range(1, job.nodes + 1)}
            if self._streams(name)
            else {},
            streams=self._streams(name),
            objects={
                key.removeprefix(folder): shed.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                for key in shed.keys(folder)
            },
        )

    def _streams(self, name: str) -> list[str]:
        try:
            listed = self.shed.logs.describe_log_streams(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/"
            )
        except self.shed.logs.exceptions.ResourceNotFoundException:
            return []
        return [each["logStreamName"] for each in listed["logStreams"]]

    def _objects(self, job: Job) -> dict[str, bytes]:
        found = dict(job.objects)
        if job.main:
            found[f"programs/{job.name}/probe.py"] = PROBE.read_bytes()
            found[f"programs/{job.name}/main.py"] = job.main.encode()
        if job.source:
            files = {"probe.py": PROBE.read_text(), **job.source}
            found[f"programs/{job.name}/sourcedir.tar.gz"] = packed(files)
        return found

    def _request(self, job: Job, name: str) -> dict[str, Any]:
        algorithm: dict[str, Any] = {"TrainingImage": job.image}
        channels = list(job.channels)
        hyperparameters = dict(job.hyperparameters)
        if job.main:
            program = f"s3://{BUCKET}/programs/{job.name}"
            source = {"S3DataType": "S3Prefix", "S3Uri": program}
            channels.append({"ChannelName": "program", "DataSource": {"S3DataSource": source}})
            algorithm["ContainerEntrypoint"] = ["python3", f"{TREE}/main.py"]
        if job.source:
            archive = f"s3://{BUCKET}/programs/{job.name}/sourcedir.tar.gz"
            hyperparameters = {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": archive,
                **hyperparameters,
            }
        return {
            "TrainingJobName": name,
            "algorithm": {**algorithm, **job.algorithm},
            "nodes": job.nodes,
            **({"InputDataConfig": channels} if channels else {}),
            **({"HyperParameters": hyperparameters} if hyperparameters else {}),
            **job.request,
        }
