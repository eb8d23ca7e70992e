"""A training job's folder, and the toolkit started on it as a process of its own."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import trainshed
from trainshed.contract.tree import Tree

TOOLKIT = Path(trainshed.__file__).parent / "toolkit" / "__main__.py"
RESOURCES = {"current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": "ml.c5.large"}


class Job:
    """One job below a temporary folder."""

    def __init__(self, base: Path) -> None:
        self.tree = Tree(base)
        self.tree.config.mkdir(parents=True)
        self.tree.code.mkdir()
        self.write_config(self.tree.hyperparameters, {})
        self.write_config(self.tree.input_data_config, {})
        self.write_config(self.tree.resource_config, RESOURCES)
        self.variables: dict[str, str] = {}

    def write_config(self, path: Path, content: Mapping[str, Any]) -> None:
        path.write_text(json.dumps(content))

    def hyperparameters(self, **values: Any) -> None:
        encoded = {key: json.dumps(value) for key, value in values.items()}
        self.write_config(self.tree.hyperparameters, encoded)

    def code(self, name: str, text: str, /, **hyperparameters: Any) -> None:
        """Put a file in the code folder, and make it the program."""
        path = self.tree.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.hyperparameters(sagemaker_program=name, **hyperparameters)

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "SAGEMAKER_BASE_DIR": str(self.tree.base),
            **self.variables,
        }
        return subprocess.Popen(
            command or [sys.executable, "-I", "-S", str(TOOLKIT), "train"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*command)
        out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(
            process.args, process.returncode, out.decode(), err.decode()
        )

    @property
    def failure(self) -> str:
        return self.tree.failure.read_text() if self.tree.failure.exists() else ""


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


def tar_of(path: Path, *members: "tuple[tarfile.TarInfo, bytes]") -> Path:
    """Write a tar.gz of exactly these members."""
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def file(name: str, data: bytes = b"", **settings: Any) -> "tuple[tarfile.TarInfo, bytes]":
    """Return a member; ``settings`` are TarInfo's own names."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in settings.items():
        setattr(info, key, value)
    return info, data
