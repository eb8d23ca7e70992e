"""A real server and real agents that kill themselves at named points: the job ends all the same."""

from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from tests.journeys.conftest import settings
from tests.journeys.shed import Shed, until

from trainshed.testing.faults.plan import Plan
from trainshed.testing.faults.server import FaultyServer

SERVER = (
    "records.swap.after#3=crash; driver.launch.after#1@2=crash; "
    "reports.facts.after#2@3=lose; driver.remove.before#1@3=crash; records.swap.before#1@4=fail"
)
AGENTS = "journal.append.torn#2=crash; report.after#1@2=crash; step.carry_out.before#1@3=crash"
WRITES = 'open("/opt/ml/model/done", "w").write("done")'


def test_a_job_ends_though_its_server_and_its_agents_die_at_named_points(tmp_path: Path) -> None:
    server = FaultyServer(
        tmp_path / "data",
        Plan.parse(SERVER),
        agents=Plan.parse(AGENTS),
        settings=settings(tmp_path),
    )
    with server:
        shed = Shed(server, tmp_path)
        name = shed.create(WRITES, RetryStrategy={"MaximumRetryAttempts": 5})

        def status() -> str:
            if server.revive():
                shed.connect()
            try:
                told = shed.sagemaker.describe_training_job(TrainingJobName=name)
            except (BotoCoreError, ClientError):
                return "away"
            return str(told["TrainingJobStatus"])

        def cleaned() -> bool:
            server.revive()
            return not server.remains()

        until(lambda: status() == "Completed", server.said, 90)
        until(cleaned, server.said, 60)
        struck = server.struck()
    assert server.lives >= 4
    for fault in ("records.swap.after#3@1=crash", "driver.remove.before#1@3=crash"):
        assert fault in struck
    assert "journal.append.torn#2@1=crash" in struck
