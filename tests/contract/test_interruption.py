"""A node that is taken away with notice: SIGTERM, a last checkpoint, and another attempt."""

import json
import subprocess

from tests.contract.images import STOP_SECONDS
from tests.contract.job import BUCKET, Job
from tests.contract.place import Place
from tests.journeys.shed import Shed

from trainshed.testing.server import TRAINSHED

RESUMES = """
import json, os, pathlib, probe, signal, sys, time
kept = pathlib.Path("/opt/ml/checkpoints/state")
began = kept.read_text() if kept.exists() else ""
def save(number, frame):
    print("asked to stop by", signal.Signals(number).name, flush=True)
    time.sleep(1)
    kept.write_text("saved after SIGTERM")
    probe.write("model/unfinished", "of an attempt that was interrupted")
    sys.exit(3)
signal.signal(signal.SIGTERM, save)
if began:
    probe.save(began=began)
else:
    print("training", flush=True)
    while True:
        time.sleep(0.05)
"""


def drill(shed: Shed, name: str) -> None:
    shed.until_line(name, "training")
    words = ("drill", name, "--notice", "600", "--json", "--data-dir", str(shed.server.data))
    told = subprocess.run([TRAINSHED, *words], capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr
    assert json.loads(told.stdout.splitlines()[-1])


INTERRUPTED = Job(
    name="interrupted",
    main=RESUMES,
    meanwhile=drill,
    request={
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/output/contract-interrupted/kept"},
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200},
    },
)


def test_the_program_is_asked_by_sigterm_and_has_its_time_to_save(place: Place) -> None:
    assert STOP_SECONDS > 1
    lines = place.run(INTERRUPTED).lines["algo-1"]
    assert "asked to stop by SIGTERM" in lines
    assert any("asked the program to stop and save" in line for line in lines)


def test_the_next_attempt_finds_what_was_saved_at_last(place: Place) -> None:
    assert place.run(INTERRUPTED).look["began"] == "saved after SIGTERM"


def test_nothing_but_checkpoints_is_kept_of_an_attempt_that_was_interrupted(place: Place) -> None:
    seen = place.run(INTERRUPTED)
    assert seen.status == ("Completed", "Completed")
    assert "output/model.tar.gz" not in seen.objects


def test_each_attempt_has_a_log_stream_of_its_own(place: Place) -> None:
    assert len(place.run(INTERRUPTED).streams) == 2


def test_the_interruption_is_told_with_the_status(place: Place) -> None:
    told = place.run(INTERRUPTED).told["SecondaryStatusTransitions"]
    assert "Interrupted" in [each["Status"] for each in told]
