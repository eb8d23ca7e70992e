"""A command is judged by how fast it answers: it imports what it needs and nothing else."""

import subprocess
import sys
from pathlib import Path

from tests.operator.smlogs.plugin import Plugin, kubeconfig

from trainshed.domain import pods
from trainshed.testing.api_server import ApiServer, path_of

PROGRAM = """
import sys
from trainshed.cli import smlogs
sys.argv = ["kubectl-smlogs", *sys.argv[1:]]
try:
    code = smlogs.main()
except SystemExit as end:
    code = end.code
assert not code, code
print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {"asyncio", "boto3", "botocore", "kopf", "rich", "starlette", "typer"}


def imported(plugin: Plugin, *words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        env=plugin.environment,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_needs_no_client_of_anything(api: ApiServer, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, kubeconfig(tmp_path / "config", api.url))
    assert imported(plugin, "--help") & (HEAVY | {"lightkube", "httpx2", "msgspec"}) == set()


def test_a_log_without_amazon_needs_nothing_of_amazons(api: ApiServer, tmp_path: Path) -> None:
    spec = {"region": "r", "trainingJobName": "digits-cf1e"}
    api.put("trainingjobs", "lab", "digits", spec=spec)
    labels = {pods.JOB_LABEL: "digits-cf1e"}
    api.put("pods", "lab", "node", metadata={"labels": labels})
    api.logs[path_of("pods", "lab", "node")] = [("2026-01-01T12:00:00Z", "line")]
    plugin = Plugin(tmp_path, kubeconfig(tmp_path / "config", api.url))
    # asyncio comes with lightkube.
    assert imported(plugin, "tj", "digits") & (HEAVY - {"asyncio"}) == set()
