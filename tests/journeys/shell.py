"""A user's terminal after ``eval "$(trainshed aws-env)"``, in a folder of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from trainshed.testing.server import Server


class Shell:
    """Runs programs as a user would, with nothing in the environment but what was exported."""

    def __init__(self, server: Server, folder: Path, aws: str) -> None:
        self.folder = folder
        self.aws_program = aws
        folder.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        exported = {k: v for k, v in server.exported().items() if k.startswith("AWS_")}
        self.environment = {**kept, **exported, "HOME": str(folder), "AWS_PAGER": ""}

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Return what a program that ends with this exit code prints, stderr behind stdout."""
        with self.begin(*words) as process:
            out, err = process.communicate(timeout=100)
        assert process.returncode == code, (words, process.returncode, out, err)
        return out if code == 0 else out + err

    def aws(self, *words: str, code: int = 0) -> str:
        return self.run(self.aws_program, *words, code=code)

    def aws_json(self, *words: str) -> Any:
        return json.loads(self.aws(*words, "--output", "json"))
