"""A container's run, from the outside: facts, lines, outcome, what lies in the output."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.conftest import Agent

from trainshed.domain.facts import Kind

MakeAgent = Callable[..., Agent]


def test_a_script_that_succeeds_completes_and_its_model_is_delivered(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(
        "echo hello; echo 42 >/opt/ml/model/weights; mkdir /opt/ml/output/data/d; "
        "echo 1 >/opt/ml/output/data/d/e"
    )
    node.start().wait()
    assert node.kinds() == ["started", "training", "exited", "uploading", "ended"]
    assert node.ended() == ("completed", "")
    assert node.lines() == ["hello"]
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["weights"]
    with tarfile.open(tmp_path / "out/job-1/output/output.tar.gz") as tar:
        assert tar.getnames() == ["d/e"]


def test_an_empty_model_is_not_delivered(agent: MakeAgent, tmp_path: Path) -> None:
    agent("true").start().wait()
    assert not (tmp_path / "out").exists()


def test_without_compression_the_files_are_delivered_as_they_are(
    agent: MakeAgent, tmp_path: Path
) -> None:
    script = "mkdir /opt/ml/model/a; echo 1 >/opt/ml/model/a/b; echo 2 >/opt/ml/output/data/c"
    agent(script, compression="NONE").start().wait()
    assert (tmp_path / "out/job-1/output/model/a/b").read_text() == "1\n"
    assert (tmp_path / "out/job-1/output/data/c").read_text() == "2\n"


def test_the_failure_file_becomes_the_reason_and_output_is_still_delivered(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent("echo bad data >/opt/ml/output/failure; echo 1 >/opt/ml/output/data/log; exit 3")
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason == "AlgorithmError: bad data, exit code: 3"
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    told = exited.detail
    assert (told["exit_code"], told["oom"], told["reason"]) == (3, False, reason)
    assert 0 < told["over"] <= exited.at
    assert (tmp_path / "out/job-1/output/output.tar.gz").exists()


def test_without_a_failure_file_the_traceback_is_the_reason(
    agent: MakeAgent, python: Callable[[str], tuple[str, ...]]
) -> None:
    node = agent(entrypoint=python("raise ValueError('bad seed')"))
    node.start().wait()
    assert node.ended()[1] == "AlgorithmError: ValueError: bad seed, exit code: 1"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no data; exit 3", "no data"),
        ("echo no data; echo too late >&2; exit 3", "too late"),
        ("echo no data; echo >&2; exit 3", "no data"),
    ],
)
def test_what_a_program_said_last_is_the_reason_and_stderr_goes_first(
    agent: MakeAgent, script: str, said: str
) -> None:
    node = agent(script)
    node.start().wait()
    assert node.ended()[1] == f"AlgorithmError: {said}, exit code: 3"


def test_a_failure_file_that_is_a_link_is_not_read(agent: MakeAgent) -> None:
    node = agent("ln -s /etc/passwd /opt/ml/output/failure; exit 1")
    node.start().wait()
    assert node.ended()[1] == "AlgorithmError: , exit code: 1"


def test_death_by_a_signal_is_named(
    agent: MakeAgent, python: Callable[[str], tuple[str, ...]]
) -> None:
    script = python("import ctypes; print('now', flush=True); ctypes.string_at(0)")
    node = agent(entrypoint=script)
    node.start().wait()
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert exited.detail["exit_code"] == 139
    assert "SIGSEGV" in node.ended()[1]


def test_an_entrypoint_that_is_not_there_exits_127(agent: MakeAgent) -> None:
    node = agent(entrypoint=("no-such-program",))
    node.start().wait()
    assert node.ended()[0] == "failed"
    assert node.ended()[1].endswith("exit code: 127")


def test_the_container_sees_opt_ml_its_host_name_and_its_peers(agent: MakeAgent) -> None:
    node = agent(
        "pwd; hostname; ls /opt/ml /opt/ml/input/config; getent hosts algo-2; echo $$ $PPID",
        host="algo-1",
        hosts=("algo-1",),
    )
    node.start().wait()
    lines = node.lines()
    assert lines[:2] == ["/opt/ml", "algo-1"]
    assert {"input", "model", "output", "hyperparameters.json"} <= set(lines)
    assert lines[-1] == "1 0"


def test_the_configuration_is_what_the_contract_says(agent: MakeAgent) -> None:
    node = agent(
        "cd input/config; cat hyperparameters.json; echo; cat resourceconfig.json; stat -c %a . *",
        hyperparameters={"lr": "0.1"},
    )
    node.start().wait()
    lines = node.lines()
    assert json.loads(lines[0]) == {"lr": "0.1"}
    resources, _, modes = lines[1].rpartition("}")
    found = json.loads(resources + "}")
    assert (found["current_host"], found["hosts"]) == ("algo-1", ["algo-1"])
    assert found["network_interface_name"] == "lo"
    assert {modes, *lines[2:]} == {"755", "644"}


def test_the_environment_has_the_contract_and_none_of_the_servers_secrets(
    agent: MakeAgent,
) -> None:
    node = agent("env", environment={"MINE": "a b"})
    node.start(
        AWS_SECRET_ACCESS_KEY="s3cret", TRAINSHED_HOME="/x", SM_MODEL_DIR="/y", KEEP="1"
    ).wait()
    found = dict(line.partition("=")[::2] for line in node.lines())
    assert found["TRAINING_JOB_NAME"] == "job-1"
    assert (found["MINE"], found["KEEP"], found["PYTHONUNBUFFERED"]) == ("a b", "1", "1")
    assert found["PATH"].startswith(f"{node.plan.environment_path}/bin:")
    assert "s3cret" not in found.values()
    assert not {"TRAINSHED_HOME", "SM_MODEL_DIR"} & found.keys()


def test_lines_of_both_streams_come_in_order_and_the_last_needs_no_end(agent: MakeAgent) -> None:
    node = agent(
        r"printf 'a\\b\n'; sleep 0.05; echo err >&2; sleep 0.05; printf last", notes=("Note one",)
    )
    node.start().wait()
    assert node.lines() == ["[trainshed] Note one", r"a\b", "err", "last"]


def test_times_of_lines_never_run_backwards(agent: MakeAgent) -> None:
    node = agent("for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo e$i >&2; done")
    node.start().wait()
    log = node.reports.log(node.plan.node_id)
    stamps = [int(line.split(b" ")[0]) for line in log.splitlines()]
    assert len(stamps) == 18
    assert stamps == sorted(stamps)


def test_a_long_line_is_split(agent: MakeAgent, python: Callable[[str], tuple[str, ...]]) -> None:
    node = agent(entrypoint=python("print('ä' * 300_000)"))
    node.start().wait()
    assert [len(line.encode()) for line in node.lines()] == [262144, 262144, 75712]


def test_metrics_are_taken_from_the_lines(agent: MakeAgent) -> None:
    node = agent(
        "echo loss=0.5; echo 'loss=0.25;'; echo loss=nothing; echo loss=nan; echo on=1 >&2",
        metrics=(
            {"Name": "loss", "Regex": "loss=([^;]+)"},
            {"Name": "on", "Regex": "on=(.)"},
            {"Name": "bad", "Regex": "("},
            {"Name": "groupless", "Regex": "loss"},
        ),
    )
    node.start().wait()
    told = {
        name: value
        for fact in node.reports.facts(node.plan.node_id)
        if fact.kind is Kind.METRICS
        for name, value, _ in fact.detail["points"]
    }
    assert told == {"loss": 0.25, "on": 1.0}
    assert sum("cannot be used" in line or "no group" in line for line in node.lines()) == 2


def test_a_metric_is_told_while_the_script_runs(agent: MakeAgent) -> None:
    node = agent("echo loss=1; sleep 60", metrics=({"Name": "loss", "Regex": "loss=(.*)"},))
    node.start()
    node.reports.wait_for(lambda: node.fact(Kind.METRICS))


def test_an_environments_own_train_is_run_when_nothing_else_is_asked(
    agent: MakeAgent, tmp_path: Path
) -> None:
    (tmp_path / "env/bin").mkdir(parents=True)
    train = tmp_path / "env/bin/train"
    train.write_text("#!/bin/sh\necho train ran\n")
    train.chmod(0o755)
    node = agent(entrypoint=None, environment_path=str(tmp_path / "env"))
    node.start().wait()
    assert node.lines() == ["train ran"]


@pytest.mark.parametrize("arguments", [None, ("a",)])
def test_an_images_own_program_needs_a_container_engine(
    agent: MakeAgent, tmp_path: Path, arguments: tuple[str, ...] | None
) -> None:
    (tmp_path / "env/bin").mkdir(parents=True)
    node = agent(
        entrypoint=None, arguments=arguments, environment_path=str(tmp_path / "env"), image="xgb:1"
    )
    node.start().wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("ClientError: ")
    assert '"xgb:1"' in reason
    assert "docker backend" in reason
    assert "training" not in node.kinds()


def test_nothing_is_left_on_the_machine(agent: MakeAgent) -> None:
    before = set(Path("/").iterdir()), set(Path("/opt").iterdir())
    node = agent("touch /here; (setsid sleep 987654 &) ; sleep 0.1; echo started")
    node.start().wait()
    assert node.lines() == ["started"]
    assert (set(Path("/").iterdir()), set(Path("/opt").iterdir())) == before
    assert not _processes("987654")


def _processes(argument: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in words:
                found.append(entry.name)
    return found


def test_a_command_finds_no_descriptors_but_its_own_three(agent: MakeAgent) -> None:
    node = agent("ls /proc/$$/fd")
    node.start().wait()
    assert node.lines() == ["0", "1", "2"]


def test_names_that_are_no_text_are_delivered_and_spoken_of(
    agent: MakeAgent, tmp_path: Path
) -> None:
    node = agent(r"cd /opt/ml/model; printf x >$(printf 'a\377'); mkfifo $(printf 'b\377')")
    node.start().wait()
    assert node.ended() == ("completed", "")
    assert node.lines() == [r"[trainshed] model/b\udcff is not a plain file: it was left out"]
    with tarfile.open(tmp_path / "out/job-1/output/model.tar.gz") as tar:
        assert tar.getnames() == ["a\udcff"]


def test_a_program_ignores_no_signal_because_the_server_did(
    agent: MakeAgent, python: Callable[[str], tuple[str, ...]]
) -> None:
    script = """
import signal
ignored = {each for each in signal.valid_signals() if signal.getsignal(each) is signal.SIG_IGN}
print(sorted(ignored - {signal.SIGPIPE, signal.SIGXFSZ}))
"""
    node = agent(entrypoint=python(script)).start("nohup")
    node.wait()
    assert node.lines() == ["[]"]
