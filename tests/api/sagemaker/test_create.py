"""CreateTrainingJob takes on what makes sense and says why it refuses the rest."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.api.sagemaker.shed import ACCOUNT, NOON, ROLE, FakeObjects, Shed, asked, channel

from trainshed.api.sagemaker.data import Data
from trainshed.domain.errors import RequestRejected
from trainshed.domain.training import SecondaryStatus

IMAGE = {"TrainingImage": "image", "TrainingInputMode": "File"}
GROUP = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "InstanceGroupName": "one"}


async def test_a_new_job_is_a_row_that_is_starting(shed: Shed) -> None:
    arn = await shed.create(
        HyperParameters={"lr": "0.1"}, Tags=[{"Key": "team", "Value": "vision"}]
    )

    assert arn == f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/digits"
    job = await shed.job(arn)
    assert job.request == asked(HyperParameters={"lr": "0.1"})
    assert (job.id, job.created, job.modified) == ("000000000001", NOON, NOON)
    assert job.secondary is SecondaryStatus.STARTING
    assert [entry.message for entry in job.transitions] == ["Starting the training job"]
    assert await shed.tags.tags(arn) == {"team": "vision"}


async def test_a_region_has_its_own_names_and_partition(shed: Shed) -> None:
    await shed.create()
    answer = await shed.call("CreateTrainingJob", region="cn-north-1", **asked())
    assert answer["TrainingJobArn"] == (
        f"arn:aws-cn:sagemaker:cn-north-1:{ACCOUNT}:training-job/digits"
    )


async def test_a_name_is_used_once(shed: Shed) -> None:
    arn = await shed.create()
    shed.pass_time(1)
    with pytest.raises(RequestRejected) as refused:
        await shed.create(HyperParameters={"other": "1"})
    assert (refused.value.code, refused.value.status) == ("ResourceInUse", 400)
    assert refused.value.message == (
        "Training job names must be unique within an AWS account and region, "
        f"and a training job with this name already exists ({arn})"
    )
    assert (await shed.job(arn)).request == asked()


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"AlgorithmSpecification": None}, "Value null at 'algorithmSpecification'"),
        (
            {"AlgorithmSpecification": {**IMAGE, "AlgorithmName": "xgboost"}},
            "both TrainingImage and AlgorithmName",
        ),
        (
            {"AlgorithmSpecification": {"AlgorithmName": "xg", "TrainingInputMode": "File"}},
            "AlgorithmName 'xg' is not offered",
        ),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "names nothing to run"),
        (
            {
                "AlgorithmSpecification": {
                    **IMAGE,
                    "MetricDefinitions": [
                        {"Name": "loss", "Regex": "a"},
                        {"Name": "loss", "Regex": "b"},
                    ],
                }
            },
            "the metric 'loss' more than once",
        ),
        ({"ResourceConfig": None}, "Value null at 'resourceConfig'"),
        (
            {"ResourceConfig": {"InstanceCount": 1, "VolumeSizeInGB": 1}},
            "Value null at 'resourceConfig.instanceType'",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large"}},
            "Value null at 'resourceConfig.instanceCount'",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0}},
            "Value '0' at 'resourceConfig.instanceCount' failed to satisfy constraint: "  # noqa: ISC004
            "Member must have value greater than or equal to 1",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceGroups": [GROUP]}},
            "both InstanceGroups and InstanceType",
        ),
        (
            {"ResourceConfig": {"InstanceGroups": [{**GROUP, "InstanceCount": 0}]}},
            "'resourceConfig.instanceGroups.1.member.instanceCount'",
        ),
        ({"ResourceConfig": {"InstanceGroups": [GROUP, GROUP]}}, "the group 'one' more than once"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 2419201}},
            "Value '2419201' at 'stoppingCondition.maxRuntimeInSeconds'",
        ),
        ({"EnableManagedSpotTraining": True}, "It must be present and be greater than or equal"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
            },
            "It must be present and be greater than or equal to MaxRuntimeInSeconds",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}},
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining",
        ),
        ({"RemoteDebugConfig": {"EnableRemoteDebug": True}}, "EnableRemoteDebug is not offered"),
        ({"InputDataConfig": [channel(), channel()]}, "the channel 'train' more than once"),
        (
            {"InputDataConfig": [{"ChannelName": "train", "DataSource": {}}]},
            "exactly one member of DataSource must be set; found none",
        ),
        (
            {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
            "Duplicate tag keys found: 'a'",
        ),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "kept for AWS"),
    ],
)
async def test_contradictions_are_refused(shed: Shed, members: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestRejected) as refused:
        await shed.create(**members)
    assert refused.value.code == "ValidationException"
    assert says in refused.value.message
    assert await shed.records.open_jobs() == []


@pytest.mark.parametrize(
    ("source", "mode", "says"),
    [
        ({"S3DataType": "AugmentedManifestFile"}, "File", "needs InputMode Pipe, not File"),
        ({"S3DataType": "AugmentedManifestFile"}, "Pipe", "needs AttributeNames"),
        ({"S3DataType": "ManifestFile"}, "FastFile", "FastFile needs S3DataType S3Prefix"),
        ({"S3DataType": "Converse"}, "File", "Converse is not offered"),
        ({"S3DataType": "S3Prefix", "InstanceGroupNames": ["two"]}, "File", "has two, which"),
    ],
)
async def test_channels_that_cannot_work_are_refused(
    shed: Shed, source: dict[str, Any], mode: str, says: str
) -> None:
    data = {"S3DataSource": {"S3Uri": "s3://in/train", **source}}
    asked_channel = {"ChannelName": "train", "DataSource": data, "InputMode": mode}
    with pytest.raises(RequestRejected, match=says):
        await shed.create(InputDataConfig=[asked_channel])


@pytest.mark.parametrize(
    "members",
    [
        {"StoppingCondition": None},
        {"AlgorithmSpecification": {**IMAGE, "TrainingInputMode": "Pipe"}},
        {
            "AlgorithmSpecification": {
                "ContainerEntrypoint": ["bash"],
                "TrainingInputMode": "File",
            }
        },
        {
            "AlgorithmSpecification": {"TrainingInputMode": "FastFile"},
            "HyperParameters": {"sagemaker_program": '"train.py"'},
        },
        {
            "AlgorithmSpecification": {
                **IMAGE,
                "MetricDefinitions": [{"Name": "odd", "Regex": "(unclosed"}],
            }
        },
        {"ResourceConfig": {"InstanceGroups": [GROUP]}},
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        },
        {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
        {"RetryStrategy": {"MaximumRetryAttempts": 3}},
        {"ExperimentConfig": {"ExperimentName": "e"}},
        {"RemoteDebugConfig": {"EnableRemoteDebug": False}},
        {"InputDataConfig": [channel(), channel("test", "s3://in/tr")]},
    ],
)
async def test_what_makes_sense_is_kept_as_it_came(shed: Shed, members: dict[str, Any]) -> None:
    arn = await shed.create(**members)
    assert (await shed.job(arn)).request == asked(**members)


@pytest.mark.parametrize("uri", ["s3://in/nothing", "s3://missing/train"])
async def test_inputs_must_be_there(shed: Shed, uri: str) -> None:
    bucket = uri.split("/")[2]
    with pytest.raises(RequestRejected) as refused:
        await shed.create(InputDataConfig=[channel(uri=uri)])
    assert refused.value.code == "ValidationException"
    assert refused.value.message == (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. '
        "Please ensure that the bucket exists in the selected region (us-east-1), that objects "
        f'exist under that S3 prefix, and that the role "{ROLE}" has "s3:ListBucket" permissions '
        f'on bucket "{bucket}".'
    )


@pytest.mark.parametrize(
    "members",
    [
        {"OutputDataConfig": {"S3OutputPath": "s3://missing/models"}},
        {"CheckpointConfig": {"S3Uri": "s3://missing/checkpoints"}},
    ],
)
async def test_results_must_have_somewhere_to_go(shed: Shed, members: dict[str, Any]) -> None:
    with pytest.raises(RequestRejected, match='the bucket "missing" of "s3://missing/'):
        await shed.create(**members)


async def test_an_address_that_is_neither_s3_nor_file_is_refused(shed: Shed) -> None:
    with pytest.raises(RequestRejected, match="use s3://bucket/key"):
        await shed.create(OutputDataConfig={"S3OutputPath": "https://example.com/out"})


async def test_a_name_is_free_again_after_its_job_is_deleted(shed: Shed) -> None:
    arn = await shed.create()
    await shed.move(arn, SecondaryStatus.FAILED)
    await shed.change(arn, cleaned=True)
    await shed.call("DeleteTrainingJob", TrainingJobName="digits")
    again = await shed.job(await shed.create())
    assert again.id == "000000000002"
    assert again.created == NOON + timedelta(seconds=10)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    (tmp_path / "in" / "folder").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").touch()
    (tmp_path / "in" / "link").symlink_to("/")
    return Data(FakeObjects({"out": []}), [str(tmp_path / "in")])


@pytest.mark.parametrize("path", ["in", "in/folder", "in/a.csv", "in/a"])
async def test_files_below_an_allowed_folder_may_be_read(
    data: Data, tmp_path: Path, path: str
) -> None:
    await data.check(asked(InputDataConfig=[channel(uri=f"file://{tmp_path}/{path}")]), "region")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "outside the folders that jobs may use"),
        ("in/..", "outside the folders that jobs may use"),
        ("in/link/etc", "outside the folders that jobs may use"),
        ("in-other", "outside the folders that jobs may use"),
        ("in/b", "Nothing found under"),
        ("in/none/b", "Nothing found under"),
    ],
)
async def test_other_files_may_not(data: Data, tmp_path: Path, path: str, says: str) -> None:
    request = asked(InputDataConfig=[channel(uri=f"file://{tmp_path}/{path}")])
    with pytest.raises(RequestRejected, match=says):
        await data.check(request, "us-east-1")


async def test_no_file_may_be_read_or_written_when_no_folder_is_allowed(tmp_path: Path) -> None:
    nothing = Data(FakeObjects({"out": []}))
    for request in (
        asked(InputDataConfig=[channel(uri=f"file://{tmp_path}")]),
        asked(OutputDataConfig={"S3OutputPath": f"file://{tmp_path}"}),
    ):
        with pytest.raises(RequestRejected, match=r"jobs may use \(none\)"):
            await nothing.check(request, "us-east-1")


@pytest.mark.parametrize(
    ("address", "warns"),
    [
        ("s3://out/models/digits/", True),
        ("s3://out/models", True),
        ("s3://out", True),
        ("s3://out/models/digit", False),
        ("s3://out/models/digits/checkpoints", False),
        ("s3://out/mod", False),
    ],
)
async def test_checkpoints_that_hold_the_output_are_warned_of(
    shed: Shed, address: str, warns: bool
) -> None:
    arn = await shed.create(CheckpointConfig={"S3Uri": address})
    told = (await shed.job(arn)).transitions[0].message
    assert ("Warning: the output of this job goes below CheckpointConfig.S3Uri" in told) is warns
