import pytest
from tests.client.fake_server import ACCOUNT, FakeServer, serving

from trainshed.client import objects
from trainshed.client.errors import ApiError, ServerUnreachable


def test_an_operation_answers_with_its_members(fake: FakeServer) -> None:
    fake.add_job("one")
    job = fake.api().call("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "one"})
    assert job["TrainingJobName"] == "one"


def test_a_refusal_carries_the_servers_code_and_words(fake: FakeServer) -> None:
    with pytest.raises(ApiError) as caught:
        fake.api().call("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "none"})
    assert (caught.value.code, caught.value.status) == ("ValidationException", 400)
    assert caught.value.message == "Requested resource not found."


def test_a_refusal_in_xml_and_one_without_a_body_are_read_too(fake: FakeServer) -> None:
    api = fake.api()
    with pytest.raises(ApiError) as of_get:
        api.request("GET", "/bucket/none", service="s3")
    with pytest.raises(ApiError) as of_head:
        api.request("HEAD", "/none", service="s3")
    assert of_get.value.code == "NoSuchKey"
    assert (of_head.value.code, of_head.value.status) == ("NotFound", 404)


def test_an_empty_answer_is_an_empty_dict(fake: FakeServer) -> None:
    fake.add_job("one")
    assert fake.api().call("sagemaker", "StopTrainingJob", {"TrainingJobName": "one"}) == {}


def test_the_account_comes_from_the_server(fake: FakeServer) -> None:
    assert fake.api().account() == ACCOUNT


def test_nobody_listening_is_unreachable() -> None:
    with serving(FakeServer()) as gone:
        api = gone.api()
    with pytest.raises(ServerUnreachable, match="no server answers"):
        api.call("sagemaker", "ListTrainingJobs")
    assert api.alive() is None


def test_a_call_survives_a_server_that_came_back_on_the_same_port() -> None:
    first = FakeServer()
    with serving(first):
        api = first.api()
        port = int(first.url.rpartition(":")[2])
        api.call("sagemaker", "ListTrainingJobs")
    with serving(FakeServer(), port), api:
        assert api.call("sagemaker", "ListTrainingJobs") == {"TrainingJobSummaries": []}


def test_keys_with_spaces_and_letters_of_the_world_arrive_as_they_are(fake: FakeServer) -> None:
    objects.put(fake.api(), "b", "a b/ü+%?x=1#.csv", b"1")
    assert fake.objects == {"b/a b/ü+%?x=1#.csv": b"1"}
