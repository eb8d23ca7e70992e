"""The plugin as kubectl runs it: a process of its own, told where the cluster is by KUBECONFIG."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

from trainshed.cli import smlogs

PROGRAM = "from trainshed.cli.smlogs import main; raise SystemExit(main())"


def kubeconfig(path: Path, url: str, namespace: str = "lab") -> Path:
    """Write a file that names the API server, and return it."""
    whole = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "namespace": namespace}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
    }
    path.write_text(json.dumps(whole))
    return path


class Plugin:
    """``kubectl-smlogs`` on one cluster, without a home, keys of AWS, or any way to Amazon."""

    def __init__(self, folder: Path, config: Path) -> None:
        kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        self.environment = {
            **kept,
            "HOME": str(folder),
            "KUBECONFIG": str(config),
            "TZ": "UTC",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        }

    def started(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **environment},
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it within this process, which is faster to start."""
        out, err = io.StringIO(), io.StringIO()
        code = smlogs.run(words, self.environment, out, err)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
