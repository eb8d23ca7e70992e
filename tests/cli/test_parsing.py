import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from trainshed.cli import parsing


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("90m", 5400),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1d12h", 129600),
        ("1D 2H", 93600),
        ("3600", 3600),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert parsing.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "h", "2x", "2h3", "-1h", "0", "0.2s", "1 hour", "9" * 12, "∞"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parsing.duration(text)


@given(st.integers(0, 9), st.integers(0, 23), st.integers(0, 59), st.integers(1, 59))
def test_a_duration_is_the_sum_of_its_pieces(d: int, h: int, m: int, s: int) -> None:
    expected = timedelta(days=d, hours=h, minutes=m, seconds=s)
    assert parsing.duration(f"{d}d{h}h{m}m{s}s") == expected


@given(st.text())
def test_any_text_is_a_duration_or_a_usage_error(text: str) -> None:
    with suppress(typer.BadParameter):
        assert parsing.duration(text) >= timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("3", 3),
        ("1e-5", 1e-5),
        ("true", True),
        ("True", "True"),
        ("adam", "adam"),
        ('"0.1"', "0.1"),
        ("[1, 2]", [1, 2]),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("007", "007"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_a_hyperparameter_is_json_or_else_text(text: str, value: object) -> None:
    (found,) = parsing.hyperparameters([f"x={text}"], []).values()
    assert found == value
    assert type(found) is type(value)


@given(st.text())
def test_every_value_survives_the_request(text: str) -> None:
    value = parsing.value(text)
    assert json.loads(json.dumps(value)) == value


def test_arguments_of_the_script_are_hyperparameters() -> None:
    given_ = ["--lr", "-0.1", "--kind=adam", "-b", "32"]
    found = parsing.hyperparameters(["lr=9", "keep=1"], given_)
    assert found == {"lr": -0.1, "keep": 1, "kind": "adam", "b": 32}


@pytest.mark.parametrize("arguments", [["file.txt"], ["--flag"], ["--flag", "--lr", "1"], ["--"]])
def test_arguments_that_script_mode_cannot_say_are_refused(arguments: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        parsing.hyperparameters([], arguments)


def test_data_has_a_channel_or_is_for_training(tmp_path: Path) -> None:
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert parsing.data(["train=./x", "eval=s3://b/k"]) == {"train": "./x", "eval": "s3://b/k"}
    assert parsing.data(["./x"]) == {"training": "./x"}
    assert parsing.data(["s3://b/k=v/"]) == {"training": "s3://b/k=v/"}
    assert parsing.data([str(odd)]) == {"training": str(odd)}


@pytest.mark.parametrize("texts", [["a b=./x"], ["train="], ["train=./x", "train=./y"], ["=x"]])
def test_data_that_makes_no_channel_is_refused(texts: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        parsing.data(texts)


def test_a_metric_needs_an_expression_with_a_group() -> None:
    assert parsing.metrics(["a:b=a=(.*)"]) == {"a:b": "a=(.*)"}
    for bad in ("loss", "loss=loss", "loss=(", "=x"):
        with pytest.raises(typer.BadParameter):
            parsing.metrics([bad])


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("train=s3://b/p/:mode=pipe", ("train", "s3://b/p/", {"mode": "Pipe"})),
        (
            "az://c/p:distribution=ShardedByS3Key,shuffle=7",
            ("training", "az://c/p", {"distribution": "ShardedByS3Key", "shuffle": "7"}),
        ),
        ("a=gs://b/date=1:x/y=2", ("a", "gs://b/date=1:x/y=2", {})),
        ("a=./x:y", ("a", "./x:y", {})),
        ("a=s3://b/m:type=augmentedmanifestfile,attributes=ref+label", None),
    ],
)
def test_what_is_said_of_a_channel_stands_behind_a_colon(
    text: str, channel: tuple[str, str, dict[str, str]] | None
) -> None:
    ((name, (place, options)),) = parsing.channels([text]).items()
    expected = channel or (
        "a",
        "s3://b/m",
        {"type": "AugmentedManifestFile", "attributes": "ref+label"},
    )
    assert (name, place, options) == expected


@pytest.mark.parametrize(
    "text", ["a=x:mode=Fast", "a=x:modus=Pipe", "a=x:mode=Pipe,", "a=x:shuffle=s", "a=:mode=Pipe"]
)
def test_what_cannot_be_said_of_a_channel_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parsing.channels([text])


def test_a_file_whose_name_looks_like_options_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x:mode=Pipe").touch()
    assert parsing.channels(["x:mode=Pipe"]) == {"training": ("x:mode=Pipe", {})}
