"""What every client must find, each asked in its own words."""

import os
import urllib.error
import urllib.request

import pytest
from tests.s3.asked import EVERY, asked
from tests.s3.clients import CLIENTS, Access, Client, Obstore, Refused

MIB = 1024 * 1024


@asked(*EVERY)
def test_what_was_put_is_got(client: Client) -> None:
    client.put("dir/key.txt", b"some bytes")
    assert client.get("dir/key.txt") == b"some bytes"


@asked(*EVERY)
def test_an_object_may_be_empty(client: Client) -> None:
    client.put("empty", b"")
    assert client.get("empty") == b""
    assert client.size("empty") == 0


@asked(*EVERY)
def test_a_large_object_goes_up_in_parts_and_comes_down_whole(client: Client) -> None:
    data = os.urandom(12 * MIB + 1)
    client.put("large", data)
    assert client.get("large") == data
    assert client.size("large") == len(data)


@asked(*EVERY)
def test_an_object_put_again_is_replaced(client: Client) -> None:
    client.put("k", b"old and longer")
    client.put("k", b"new")
    assert client.get("k") == b"new"
    assert client.keys() == ["k"]


@asked(*EVERY)
def test_a_removed_object_is_gone(client: Client) -> None:
    client.put("k", b"1")
    client.put("other", b"2")
    client.remove("k")
    assert client.keys() == ["other"]
    with pytest.raises(Refused):
        client.get("k")


@asked("boto3", "s5cmd", "aws", "obstore")
def test_removing_what_is_not_there_is_no_error(client: Client) -> None:
    client.remove("never-there")


@asked(*EVERY)
def test_what_is_not_there_is_refused_with_404(client: Client) -> None:
    with pytest.raises(Refused, match=r"404|not found|NotFound|does not exist|no object"):
        client.size("never-there")


@asked("boto3", "s5cmd", "aws", "obstore")
def test_a_bucket_that_is_not_there_is_refused(client: Client, access: Access) -> None:
    lost = CLIENTS["obstore"](access, "never-made") if isinstance(client, Obstore) else client
    lost.bucket = "never-made"
    with pytest.raises(Refused, match=r"NoSuchBucket|404"):
        lost.put("k", b"1")


KEYS = {
    "space": "a b  c",
    "plus": "a+b",
    "percent": "100%25 %zz",
    "unicode": "grüße/日本語/🚂",
    "punctuation": "a!b'c(d)e,f;g:h@i&j=k$l~m",
    "quotes": 'a"b`c<d>e^f|g{h}',
    "dots": ".hidden/..two/a..b/c.",
    "case": "Case/CASE/case",
}


@asked(*EVERY)
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_any_text(client: Client, kind: str) -> None:
    key = KEYS[kind]
    client.put(key, kind.encode())
    assert client.get(key) == kind.encode()
    assert client.keys() == [key]
    client.remove(key)
    assert client.keys() == []


@asked(*EVERY)
def test_a_key_and_a_folder_may_have_one_name(client: Client) -> None:
    client.put("x", b"1")
    client.put("x/y", b"2")
    assert (client.get("x"), client.get("x/y")) == (b"1", b"2")
    assert sorted(client.keys()) == ["x", "x/y"]


@asked("boto3", "aws", "s5cmd", "obstore")
def test_keys_are_listed_in_the_order_of_their_bytes(client: Client) -> None:
    names = ["A", "a", "a-", "a/b", "a0", "ä", "\U0001f600"]
    for name in reversed(names):
        client.put(name, b"")
    assert client.keys() == sorted(names, key=str.encode)


@asked(*EVERY)
def test_a_prefix_may_end_within_a_name(client: Client) -> None:
    for name in ("run-1/a", "run-10/b", "other"):
        client.put(name, b"")
    assert client.keys("run-1") == ["run-1/a", "run-10/b"]


@asked(*EVERY)
def test_a_level_is_listed_like_a_folder(client: Client) -> None:
    for name in ("d/a", "d/sub/b", "d/sub/c", "d/z/e", "else"):
        client.put(name, b"")
    assert client.level("d/") == (["sub/", "z/"], ["a"])


@asked(*EVERY)
def test_more_keys_than_a_page_holds_are_all_listed(
    client: Client, access: Access, crowded: tuple[str, list[str]]
) -> None:
    bucket, names = crowded
    many = CLIENTS["obstore"](access, bucket) if isinstance(client, Obstore) else client
    many.bucket = bucket
    assert many.keys() == names
    assert many.level("n/") == ([], [name[2:] for name in names])


@asked(*EVERY)
def test_a_copy_has_the_same_bytes(client: Client) -> None:
    client.put("from it", b"12345")
    client.copy("from it", "to/it ü")
    assert client.get("to/it ü") == b"12345"
    client.remove("from it")
    assert client.get("to/it ü") == b"12345"


@asked(*EVERY)
def test_a_large_object_is_copied(client: Client) -> None:
    data = os.urandom(11 * MIB)
    client.put("from", data)
    client.copy("from", "to")
    assert client.get("to") == data


@asked(*EVERY)
def test_an_address_that_was_presigned_serves_the_object(client: Client) -> None:
    client.put("dir/a b", b"presigned")
    with urllib.request.urlopen(client.presigned("dir/a b")) as answer:
        assert answer.read() == b"presigned"


@asked(*EVERY)
def test_a_presigned_address_serves_nothing_else(client: Client) -> None:
    client.put("one", b"1")
    client.put("two", b"2")
    address = client.presigned("one").replace("/one?", "/two?")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address)
    with refused.value as answer:
        assert answer.status == 403
        assert b"SignatureDoesNotMatch" in answer.read()


@asked(*EVERY)
def test_a_wrong_secret_is_refused(client: Client, access: Access) -> None:
    client.put("k", b"1")
    wrong = Access(access.url, (access.keys[0], "wrong"), access.home)
    other = CLIENTS[type(client).__name__.lower()](wrong, client.bucket)
    with pytest.raises(Refused, match=r"SignatureDoesNotMatch|403|Forbidden"):
        other.get("k")
    if hasattr(other, "close"):
        other.close()
