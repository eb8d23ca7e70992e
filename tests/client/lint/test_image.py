"""What the configuration of an image says is judged alike, wherever it was read."""

import pytest

from trainshed.client.lint import dockerfile, image
from trainshed.client.lint.facts import Asked, Config


def codes(config: Config, asked: Asked | None = None, *, has_train: bool = False) -> list[str]:
    found = image.of_config(config, asked or Asked(), has_train=has_train)
    return [finding.rule.code for finding in found]


def of(text: str) -> list[str]:
    return codes(dockerfile.read(f"FROM a\n{text}").config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENTRYPOINT python -u train.py", ["TS101"]),
        ("ENTRYPOINT ['python', '-u', 'train.py']", ["TS101"]),
        ('ENTRYPOINT ["bash", "-c", "go"]', ["TS101"]),
        ('ENTRYPOINT ["bash", "/run.sh"]', ["TS107"]),
        ('ENTRYPOINT ["/tini", "--"]', ["TS102"]),
        ('ENTRYPOINT ["tini", "-g", "--", "/go"]', ["TS103", "TS107"]),
        ('ENTRYPOINT ["dumb-init", "python", "-u", "t.py"]', ["TS103", "TS107"]),
        ('ENTRYPOINT ["/go"]\nCMD ["--fast"]', ["TS107", "TS106"]),
        ("CMD python -u train.py", ["TS106"]),
        ('ENTRYPOINT ["python"]\nCMD ["t.py"]', ["TS108", "TS106"]),
        ('ENTRYPOINT ["bash"]', ["TS108"]),
        ('ENTRYPOINT ["python", "-um", "x"]', ["TS107"]),
        ('ENTRYPOINT ["python", "-m", "x"]', ["TS107", "TS117"]),
        ('CMD ["bash"]', []),
        ('CMD ["python3"]', []),
        ("VOLUME /opt/ml/model /data", ["TS111"]),
        ('VOLUME ["/opt/ml"]', ["TS111"]),
        ("VOLUME /opt/mlflow", []),
        ("WORKDIR /opt/ml/model/x", ["TS112"]),
        ("WORKDIR /opt/ml/code", []),
        ("WORKDIR /opt/ml/models", []),
        ("USER app", ["TS113"]),
        ("USER 1000:0", ["TS113"]),
        ("USER root:root", []),
        ("USER 0", []),
        ("USER $NOBODY_KNOWS", []),
        ("EXPOSE 8080", ["TS114"]),
        ("HEALTHCHECK CMD true", ["TS115"]),
        ("STOPSIGNAL SIGINT", ["TS116"]),
        ("STOPSIGNAL SIGTERM", []),
        ('ENTRYPOINT ["python", "train.py"]', ["TS107", "TS117"]),
        ('ENTRYPOINT ["python3.11", "-uB", "train.py"]', ["TS107"]),
        ('ENV PYTHONUNBUFFERED=1\nENTRYPOINT ["python", "t.py"]', ["TS107"]),
        ("ENTRYPOINT exec python train.py", ["TS101", "TS117"]),
    ],
)
def test_each_instruction_is_judged(text: str, expected: list[str]) -> None:
    assert of(text) == expected


def test_a_list_in_single_quotes_is_told_for_what_it_is() -> None:
    config = dockerfile.read("FROM a\nENTRYPOINT ['python']", "D").config
    (finding, *_) = image.of_config(config, Asked())
    assert finding.where == "D:2"
    assert "double quotes" in finding.found


def test_the_requests_own_entrypoint_takes_the_place_of_the_images() -> None:
    config = Config(entrypoint=("/bin/sh", "-c", "python x.py"), cmd=("y",), user="me")
    assert codes(config, Asked(entrypoint=("/bin/bash",))) == ["TS113"]


def test_arguments_of_the_request_take_the_place_of_train() -> None:
    assert codes(Config(entrypoint=("/go",)), Asked(arguments=("--x",))) == []


def test_an_init_program_may_start_a_train_that_is_there() -> None:
    assert codes(Config(entrypoint=("tini", "--")), has_train=True) == []


@pytest.mark.parametrize(
    ("has_train", "has_python", "expected"),
    [(True, False, []), (False, True, ["TS105"]), (False, False, ["TS104"])],
)
def test_without_an_entrypoint_there_must_be_something_to_start(
    has_train: bool, has_python: bool, expected: list[str]
) -> None:
    found = image.of_start(Config(), Asked(), has_train=has_train, has_python=has_python)
    assert [finding.rule.code for finding in found] == expected


def test_an_entrypoint_of_image_or_request_is_something_to_start() -> None:
    for config, asked in (
        (Config(entrypoint=("x",)), Asked()),
        (Config(), Asked(entrypoint=("x",))),
    ):
        assert not list(image.of_start(config, asked, has_train=False, has_python=False))
