"""Who a caller is, through the real front."""

from tests.api.serving import serving

from trainshed.api.sts.identity import Identity


def test_a_caller_is_the_one_user_of_the_one_account() -> None:
    with serving(Identity(account="123456789012").operations()) as server:
        client = server.client("sts")
        identity = client.get_caller_identity()
        client.close()
    assert identity["Account"] == "123456789012"
    assert identity["Arn"] == "arn:aws:iam::123456789012:user/trainshed"
    assert identity["UserId"] == "AKIASHED"
