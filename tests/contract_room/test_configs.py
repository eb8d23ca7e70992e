import json

from hypothesis import given
from hypothesis import strategies as st

from trainshed.contract import configs


def test_hyperparameters_are_written_as_they_came() -> None:
    values = {"lr": "0.1", "name": '"abc"', "wide": "ü", "empty": ""}
    assert json.loads(configs.hyperparameters(values)) == values


@given(st.dictionaries(st.text(), st.text()))
def test_any_hyperparameters_survive_the_file_in_any_locale(values: dict[str, str]) -> None:
    assert json.loads(configs.hyperparameters(values).encode("ascii")) == values


def test_a_channel_reads_as_the_service_writes_it() -> None:
    channel = {
        "ChannelName": "train",
        "ContentType": "text/csv",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}},
    }
    assert configs.input_data_config([channel], "File") == (
        '{"train":{"ContentType":"text/csv","TrainingInputMode":"File",'
        '"S3DistributionType":"FullyReplicated","RecordWrapperType":"None"}}'
    )


def test_a_channel_without_content_type_has_no_such_member() -> None:
    text = configs.input_data_config([{"ChannelName": "training"}], "File")
    assert "ContentType" not in text
    assert len(text) == 107  # the size that listings of real containers show for this channel


def test_a_channel_keeps_its_own_mode_wrapper_and_distribution() -> None:
    channel = {
        "ChannelName": "a",
        "InputMode": "FastFile",
        "RecordWrapperType": "RecordIO",
        "DataSource": {"S3DataSource": {"S3DataDistributionType": "ShardedByS3Key"}},
    }
    found = json.loads(configs.input_data_config([channel], "File"))["a"]
    assert found == {
        "TrainingInputMode": "FastFile",
        "S3DistributionType": "ShardedByS3Key",
        "RecordWrapperType": "RecordIO",
    }


def test_a_file_system_channel_reads_fully_replicated() -> None:
    channel = {"ChannelName": "a", "DataSource": {"FileSystemDataSource": {"FileSystemId": "f"}}}
    found = json.loads(configs.input_data_config([channel], "File"))["a"]
    assert found["S3DistributionType"] == "FullyReplicated"


def test_no_channels_is_an_empty_object() -> None:
    assert configs.input_data_config([], "File") == "{}"


def test_one_host_reads_as_on_the_service() -> None:
    text = configs.resource_config(
        host="algo-1",
        hosts=["algo-1"],
        instance_type="ml.c5.xlarge",
        instance_group=configs.HOMOGENEOUS,
        instance_groups=[],
    )
    assert text == (
        '{"current_host":"algo-1","current_instance_type":"ml.c5.xlarge",'
        '"current_group_name":"homogeneousCluster","hosts":["algo-1"],"instance_groups":'
        '[{"instance_group_name":"homogeneousCluster","instance_type":"ml.c5.xlarge",'
        '"hosts":["algo-1"]}],"network_interface_name":"eth0","topology":null}'
    )


def test_hosts_are_sorted_as_text_and_groups_need_not_be_contiguous() -> None:
    hosts = tuple(f"algo-{n}" for n in range(1, 12))
    found = json.loads(
        configs.resource_config(
            host="algo-2",
            hosts=hosts,
            instance_type="ml.g5.xlarge",
            instance_group="gpu",
            instance_groups=[
                {"instance_group_name": "gpu", "instance_type": "ml.g5.xlarge", "hosts": hosts[1:]},
                {"instance_group_name": "cpu", "instance_type": "ml.c5.large", "hosts": hosts[:1]},
            ],
            network_interface="ens5",
        )
    )
    assert found["hosts"][:4] == ["algo-1", "algo-10", "algo-11", "algo-2"]
    assert [group["instance_group_name"] for group in found["instance_groups"]] == ["gpu", "cpu"]
    assert found["instance_groups"][0]["hosts"] == sorted(hosts[1:])
    assert found["current_group_name"] == "gpu"
    assert found["network_interface_name"] == "ens5"


def test_the_extras_of_a_plain_request_are_the_four_that_real_containers_have() -> None:
    request = {"TrainingJobName": "j", "OutputDataConfig": {"S3OutputPath": "s3://b/o"}}
    found = configs.extras(request)
    assert sorted(found) == [
        "init-config.json",
        "metric-definition-regex.json",
        "trainingjobconfig.json",
        "upstreamoutputdataconfig.json",
    ]
    assert json.loads(found["trainingjobconfig.json"]) == request
    assert json.loads(found["upstreamoutputdataconfig.json"]) == request["OutputDataConfig"]
    assert found["metric-definition-regex.json"] == "{}"


def test_checkpoint_debugger_and_profiler_files_appear_when_asked_for() -> None:
    request = {
        "CheckpointConfig": {"S3Uri": "s3://b/c"},
        "DebugHookConfig": {"S3OutputPath": "s3://b/d"},
        "ProfilerConfig": {"S3OutputPath": "s3://b/p"},
    }
    found = configs.extras(request, [{"Name": "loss", "Regex": "loss=(.*)"}])
    assert json.loads(found["checkpointconfig.json"]) == request["CheckpointConfig"]
    assert json.loads(found["debughookconfig.json"]) == request["DebugHookConfig"]
    assert json.loads(found["profilerconfig.json"]) == request["ProfilerConfig"]
    assert json.loads(found["metric-definition-regex.json"]) == {"loss": "loss=(.*)"}
