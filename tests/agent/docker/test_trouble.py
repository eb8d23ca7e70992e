"""Containers that can't run, run out of something, or are given less than was asked for."""

from collections.abc import Callable

import pytest
from tests.agent.docker.conftest import BASE, DockerAgent

from trainshed.domain.facts import Kind
from trainshed.domain.plan import Resources

pytestmark = pytest.mark.docker
MakeAgent = Callable[..., DockerAgent]
MakeImage = Callable[[str], str]
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("entrypoint", "code", "words"),
    [
        (("/nowhere/train",), 127, ["the entrypoint was not found", "/nowhere/train"]),
        (("nowhere",), 127, ["the entrypoint was not found", '"nowhere"']),
        (("/etc/passwd",), 126, ["the entrypoint is not executable", "permission denied"]),
        (("/opt/odd",), 127, ["the entrypoint was not found", "no such file or directory"]),
        (("/opt/junk",), 127, ["the entrypoint cannot be run", "exec format error"]),
    ],
)
def test_what_cannot_be_run_is_told_as_a_shell_does(
    agent: MakeAgent, image: MakeImage, entrypoint: tuple[str, ...], code: int, words: list[str]
) -> None:
    made = image(
        r"RUN printf '#!/no/such/shell\n' >/opt/odd; printf '\001\002' >/opt/junk; chmod +x /opt/*"
    )
    node = agent(entrypoint=entrypoint, image=made).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed", reason
    assert reason.startswith("AlgorithmError: the entrypoint ")
    assert reason.endswith(f", exit code: {code}")
    assert [word for word in words if word not in reason] == [], reason


def test_an_image_without_train_or_entrypoint_says_that_train_was_not_found(
    agent: MakeAgent,
) -> None:
    node = agent(entrypoint=None).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert 'the entrypoint was not found (exec: "train"' in reason


def test_the_kernel_ends_what_takes_too_much_memory_and_the_reason_says_so(
    agent: MakeAgent,
) -> None:
    few = Resources(cpus=1, memory=64 * MIB)
    node = agent(
        entrypoint=("python3", "-c", "x = bytearray(1 << 30); print(len(x))"), resources=few
    ).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("AlgorithmError: out of memory: the kernel killed the container")
    exited = node.fact(Kind.EXITED)
    assert exited is not None
    assert exited.detail["oom"] is True


def test_resources_are_what_was_asked_for(agent: MakeAgent) -> None:
    some = Resources(cpus=1.5, memory=256 * MIB, shm=96 * MIB)
    node = agent("df -k /dev/shm | tail -1; sleep 600", resources=some).start()
    node.wait_for_line("/dev/shm")
    assert str(96 * 1024) in node.lines()[-1].split()
    config = node.inspect()["HostConfig"]
    assert (config["NanoCpus"], config["Memory"], config["MemorySwap"]) == (
        1_500_000_000,
        256 * MIB,
        256 * MIB,
    )
    assert config["Init"] is False
    assert config["LogConfig"]["Type"] == "json-file"
    node.signal(15)
    node.wait()


def test_half_of_the_memory_is_shared_memory_unless_a_size_was_asked_for(
    agent: MakeAgent,
) -> None:
    node = agent("df -k /dev/shm | tail -1", resources=Resources(cpus=1, memory=256 * MIB))
    node.start().wait()
    assert str(128 * 1024) in node.lines()[-1].split()


def test_an_instance_larger_than_the_machine_is_said_in_the_log(agent: MakeAgent) -> None:
    much = Resources(cpus=96, memory=1 << 50, volume=1 << 60)
    node = agent("echo ran", resources=much).start()
    node.wait()
    assert node.ended() == ("completed", "")
    log = "\n".join(node.lines())
    assert "[trainshed] ml.m5.large: this machine has" in log
    assert "of 96 processors and" in log
    assert "VolumeSizeInGB asks for" in log


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Resources(cpus=1, memory=1 << 30, gpus=4), "ml.m5.large has 4 GPUs, this machine's engin"),
        (Resources(cpus=1, memory=1 << 30, gpus=1), "ml.m5.large has 1 GPU, this machine's engine"),
        (Resources(cpus=1, memory=1 << 30, shm=1 << 50), "a /dev/shm of 1048576.0 GiB was asked"),
    ],
)
def test_what_the_machine_has_not_fails_at_once(
    agent: MakeAgent, asked: Resources, words: str
) -> None:
    node = agent("echo ran", resources=asked).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("ClientError: ")
    assert words in reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Not A Name", 'TrainingImage "Not A Name" is no name of an image: '),
        (f"sha256:{'0' * 64}", "ids cannot be pulled; name the image by its tag"),
        ("", "names no TrainingImage"),
    ],
)
def test_a_name_that_is_none_fails_the_job(agent: MakeAgent, name: str, words: str) -> None:
    node = agent("echo ran", image=name).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert reason.startswith("ClientError: ")
    assert words in reason


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("unix:///nowhere/docker.sock", "the container engine at /nowhere/docker.sock does not"),
        ("tcp://127.0.0.1:2375", "only an engine of this machine can be used"),
    ],
)
def test_without_an_engine_the_node_is_lost(agent: MakeAgent, engine: str, words: str) -> None:
    node = agent("echo ran", engine=engine).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "lost"
    assert reason.startswith("InternalServerError: ")
    assert words in reason


def test_a_user_that_the_image_does_not_know_fails_the_job(
    agent: MakeAgent, image: MakeImage
) -> None:
    node = agent("echo ran", image=image("USER nobody-of-that-name")).start()
    node.wait()
    outcome, reason = node.ended()
    assert outcome == "failed"
    assert "unable to find user" in reason


def test_the_images_own_folder_and_user_and_code_are_kept(
    agent: MakeAgent, image: MakeImage
) -> None:
    made = image(
        "RUN mkdir -p /opt/ml/code && echo own >/opt/ml/code/own\nUSER 1234\nWORKDIR /srv\n"
        "ENV A=image B=image"
    )
    script = (
        "pwd; id -u; cat /opt/ml/code/own; echo $A $B; "
        "for f in model output output/data checkpoints input; do echo 1 >/opt/ml/$f/mine; done; "
        "hostname; env | sort"
    )
    node = agent(script, image=made, environment={"B": "job"}).start()
    node.wait()
    assert node.ended() == ("completed", "")
    lines = [line for line in node.lines() if not line.startswith("[trainshed]")]
    assert lines[:5] == ["/srv", "1234", "own", "image job", "algo-1"]
    names = {line.partition("=")[0] for line in lines[5:]}
    assert not names & {"PYTHONUNBUFFERED", "TRAINSHED_NODE", "VIRTUAL_ENV"}
    assert {"TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION"} <= names


def test_contract_arguments_replace_train_behind_the_images_entrypoint(
    agent: MakeAgent, image: MakeImage
) -> None:
    made = image('ENTRYPOINT ["/bin/echo", "own"]\nCMD ["never"]')
    for arguments, said in ((None, "own train"), (("a", "b c"), "own a b c")):
        node = agent(entrypoint=None, arguments=arguments, image=made).start()
        node.wait()
        assert node.lines()[-1] == said
    node = agent(entrypoint=("/bin/echo", "given"), arguments=None, image=made).start()
    node.wait()
    assert node.lines()[-1] == "given"


def test_the_base_image_is_what_the_journal_says_that_ran(agent: MakeAgent) -> None:
    node = agent("true").start()
    node.wait()
    image = node.fact(Kind.IMAGE)
    assert image is not None
    assert image.detail["digest"] in {"", BASE} or "@sha256:" in image.detail["digest"]
