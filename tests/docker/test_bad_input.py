"""What can't be run: the reason says what was asked, what was found and what to do."""

import pytest
from botocore.exceptions import ClientError
from tests.docker.shed import PYTHON, DockerShed
from tests.journeys.shed import channel

pytestmark = pytest.mark.docker


def test_an_image_that_is_nowhere(shed: DockerShed) -> None:
    name = shed.train("trainshed-test/there-is-none:7")
    reason = shed.failed(name)
    assert reason.startswith("ClientError: ")
    assert "trainshed-test/there-is-none:7" in reason
    shed.nothing_left()


def test_a_file_that_is_no_program(shed: DockerShed) -> None:
    name = shed.train(PYTHON, algorithm={"ContainerEntrypoint": ["/etc/hostname"]})
    reason = shed.failed(name)
    assert reason.startswith("AlgorithmError: the entrypoint is not executable")
    assert "/etc/hostname" in reason
    assert reason.endswith(", exit code: 126")
    shed.nothing_left()


def test_a_program_that_is_not_there(shed: DockerShed) -> None:
    name = shed.train(PYTHON, algorithm={"ContainerEntrypoint": ["/opt/never-made"]})
    reason = shed.failed(name)
    assert reason.startswith("AlgorithmError: the entrypoint was not found")
    assert "/opt/never-made" in reason
    assert reason.endswith(", exit code: 127")
    shed.nothing_left()


def test_an_image_without_train_and_a_job_without_script(shed: DockerShed) -> None:
    reason = shed.failed(shed.train(PYTHON))
    assert "train" in reason
    assert reason.endswith(", exit code: 127")
    shed.nothing_left()


def test_an_instance_type_that_nobody_knows_is_refused_at_once(shed: DockerShed) -> None:
    with pytest.raises(ClientError, match=r"'ml\.m5\.nano' at 'resourceConfig\.instanceType'"):
        shed.train(
            PYTHON,
            ResourceConfig={
                "InstanceType": "ml.m5.nano",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
        )
    shed.nothing_left()


def test_an_instance_type_with_gpus_on_a_machine_with_none(shed: DockerShed) -> None:
    name = shed.train(
        PYTHON,
        ResourceConfig={"InstanceType": "ml.p3.8xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
    )
    reason = shed.failed(name)
    assert reason.startswith("ClientError: instance type ml.p3.8xlarge has 4 GPUs")
    assert "[backends.docker.instances]" in reason
    shed.nothing_left()


def test_more_shared_memory_than_the_machine_has(shed: DockerShed) -> None:
    name = shed.train(PYTHON, Tags=[{"Key": "trainshed:shm-size", "Value": "64000g"}])
    reason = shed.failed(name)
    assert reason.startswith("ClientError: ")
    assert "/dev/shm" in reason
    assert "trainshed:shm-size" in reason
    shed.nothing_left()


def test_an_archive_that_is_none(shed: DockerShed) -> None:
    name = shed.create_from_archive(b"not an archive", algorithm={"TrainingImage": PYTHON})
    reason = shed.failed(name)
    assert reason.startswith(("ClientError: ", "AlgorithmError: "))
    assert "sourcedir.tar.gz" in reason
    shed.nothing_left()


def test_a_channel_that_matches_nothing_is_refused_at_once(shed: DockerShed) -> None:
    with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
        shed.train(PYTHON, InputDataConfig=[channel("training", "nothing/here")])
    shed.nothing_left()
