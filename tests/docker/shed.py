"""A user with boto3 and images, before a real server whose jobs are containers."""

from pathlib import Path
from typing import Any

from tests.docker.engine import containers
from tests.journeys.shed import BUCKET, Shed, channel, until

PROGRAMS = Path(__file__).with_name("programs")
PYTHON = "trainshed-test/python:base"
"""Python and nothing else: no toolkit, no ENTRYPOINT."""
OVER = ("Completed", "Failed", "Stopped")


class DockerShed(Shed):
    """What a test of a journey with images needs at hand."""

    def train(self, image: str, **changes: Any) -> str:
        """Create a job that runs an image as it is; return its name."""
        algorithm = {"TrainingImage": image, **changes.pop("algorithm", {})}
        return self.create(algorithm=algorithm, **changes)

    def run(self, program: str, *words: str, image: str = PYTHON, **changes: Any) -> str:
        """Create a job that runs one of ``programs`` with Python; return its name."""
        key = f"programs/{program}/{program}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=(PROGRAMS / program).read_bytes())
        algorithm = {
            "ContainerEntrypoint": ["python3", f"/opt/ml/input/data/program/{program}"],
            **({"ContainerArguments": list(words)} if words else {}),
        }
        inputs = [channel("program", f"programs/{program}/"), *changes.pop("InputDataConfig", [])]
        return self.train(image, algorithm=algorithm, InputDataConfig=inputs, **changes)

    def run_script(self, program: str, image: str, **changes: Any) -> str:
        """Create a job that runs one of ``programs`` in script mode; return its name."""
        source = {"train.py": (PROGRAMS / program).read_text()}
        algorithm = {"TrainingImage": image}
        return self.create_in_script_mode(source, algorithm=algorithm, **changes)

    def over(self, name: str, timeout: float = 120.0) -> dict[str, Any]:
        """Return what is told of the job once it is over."""
        until(
            lambda: self.describe(name)["TrainingJobStatus"] in OVER,
            lambda: f"{self.describe(name)}\n{self.server.said()}",
            timeout,
        )
        return self.describe(name)

    def completed(self, name: str, timeout: float = 120.0) -> dict[str, Any]:
        """Return what is told of the job, which must have completed."""
        told = self.over(name, timeout)
        said = [self._lines_if_any(name, host) for host in ("algo-1", "algo-2")]
        assert told["TrainingJobStatus"] == "Completed", (told, said)
        return told

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """Return the containers that there are of this server's jobs."""
        return containers(self.server.data, **labels)

    def nothing_left(self) -> None:
        """Return once nothing is left of jobs: no container, folder or process."""
        until(
            lambda: not self.server.remains() and not self.containers(),
            lambda: f"{self.server.remains()} {self.containers()}",
        )

    def _lines_if_any(self, name: str, host: str) -> list[str]:
        try:
            return self.lines(name, host)[-40:]
        except self.logs.exceptions.ResourceNotFoundException:
            return []
