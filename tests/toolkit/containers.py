"""Several hosts as containers of one network, without the platform: the toolkit's file alone."""

import json
import subprocess
import uuid
from pathlib import Path
from typing import Any

from trainshed.contract.tree import Tree
from trainshed.toolkit import archive

SECRET = "0123456789abcdef" * 4


def docker(*words: str) -> str:
    ran = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


class Hosts:
    """``algo-1`` and so on, each with its ``/opt/ml``; they run ``train``, which is the toolkit."""

    def __init__(self, folder: Path, image: str, count: int) -> None:
        self.names = [f"algo-{rank}" for rank in range(1, count + 1)]
        self._image = image
        self._folder = folder
        self._network = f"trainshed-toolkit-{uuid.uuid4().hex[:12]}"
        self._toolkit = folder / "train"
        archive.build(self._toolkit, "#!/usr/bin/python3 -IS")
        docker("network", "create", self._network)

    def start(
        self, program: str, text: str, secrets: dict[str, str] | None = None, /, **hp: Any
    ) -> None:
        """Start every host.

        Args:
            program: the entry point's name.
            text: its content.
            secrets: the MPI secret by host, where it is not the job's.
            hp: hyperparameters.
        """
        for host in self.names:
            tree = Tree(self._folder / host)
            tree.config.mkdir(parents=True)
            tree.code.mkdir()
            (tree.code / program).write_text(text)
            values = {"sagemaker_program": program, **hp}
            files: dict[Path, dict[str, Any]] = {
                tree.hyperparameters: {key: json.dumps(value) for key, value in values.items()},
                tree.input_data_config: {},
                tree.resource_config: {
                    "current_host": host,
                    "hosts": self.names,
                    "network_interface_name": "eth0",
                },
            }
            for path, content in files.items():
                path.write_text(json.dumps(content))
            secret = (secrets or {}).get(host, SECRET)
            docker(
                *("run", "--detach", "--name", self.container(host), "--hostname", host),
                *("--runtime", "runc", "--network", self._network, "--network-alias", host),
                *("--env", f"TRAINSHED_MPI_SECRET={secret}"),
                *("--volume", f"{tree.base}:/opt/ml"),
                *("--volume", f"{self._toolkit}:/usr/local/bin/train:ro"),
                *(self._image, "train"),
            )

    def container(self, host: str) -> str:
        return f"{self._network}-{host}"

    def wait(self) -> list[int]:
        """Return the exit codes of all hosts, in order."""
        return [int(docker("wait", self.container(host))) for host in self.names]

    def log(self, host: str) -> str:
        words = ["docker", "logs", self.container(host)]
        ran = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
        return ran.stdout

    def await_line(self, host: str, line: str) -> None:
        """Return once a host's log has a line that contains ``line``."""
        follow = ["docker", "logs", "--follow", self.container(host)]
        with subprocess.Popen(
            follow, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as log:
            assert log.stdout is not None
            found = any(line in each for each in log.stdout)
            log.terminate()
        assert found, self.log(host)

    def failure(self, host: str) -> str:
        path = Tree(self._folder / host).failure
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        """Remove the containers and their network."""
        for host in self.names:
            subprocess.run(
                ["docker", "rm", "--force", self.container(host)], capture_output=True, check=False
            )
        docker("network", "rm", self._network)
