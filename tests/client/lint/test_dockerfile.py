"""A Dockerfile is read as a builder reads it, as far as the rules ask."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainshed.client.lint import dockerfile


def test_only_the_last_stage_and_what_it_builds_on_count() -> None:
    recipe = dockerfile.read(
        "FROM gcc AS build\nUSER builder\nENTRYPOINT make\n"
        "FROM python:3 AS base\nENV A=1\nWORKDIR /srv\nCMD a\n"
        "FROM base\nWORKDIR app\nCOPY --from=build /x /y\n"
    )
    assert recipe.base == "python:3"
    assert recipe.config.user == ""
    assert recipe.config.entrypoint == ()
    assert recipe.config.folder == "/srv/app"
    assert recipe.config.environment == {"A": "1"}
    assert [copy.stage for copy in recipe.copies] == ["build"]


def test_places_are_the_lines_on_which_instructions_begin() -> None:
    text = "FROM a\n\n# note\nRUN a \\\n  # inside\n\n  b\nENTRYPOINT \\\n  x\n"
    recipe = dockerfile.read(text, "D")
    assert recipe.config.place("RUN") == "D:4"
    assert recipe.config.place("ENTRYPOINT") == "D:8"
    assert recipe.config.place("CMD") == "D"


def test_what_stands_in_a_heredoc_is_no_instruction() -> None:
    text = "FROM a\nRUN <<EOF\nUSER nobody\nEOF\nCOPY <<-'X' /etc/x\n\tUSER b\n\tX\nUSER me\n"
    recipe = dockerfile.read(text)
    assert recipe.config.user == "me"
    assert recipe.runs == ("<<EOF\nUSER nobody",)
    assert recipe.copies[0].sources == ()


def test_the_escape_of_windows_is_understood() -> None:
    recipe = dockerfile.read("# escape=`\nFROM a\nUSER `\n  me\nWORKDIR c:\\x\n")
    assert recipe.config.user == "me"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("ARG X=/a\nFROM b\nARG X\nWORKDIR $X/c", "/a/c"),
        ("ARG X=/a\nFROM b\nWORKDIR /${X}", "/${X}"),
        ("FROM b\nENV X=/a\nWORKDIR ${X}/c", "/a/c"),
        ("FROM b\nARG X=/a\nENV X /b\nWORKDIR $X", "/b"),
        ("FROM b\nWORKDIR ${X:-/d}", "/d"),
        ("FROM b\nENV X=1\nWORKDIR /p${X:+/q}", "/p/q"),
        ("FROM b\nWORKDIR /p${X:+/q}", "/p"),
        ('FROM b\nWORKDIR "/with space"', "/with space"),
    ],
)
def test_variables_are_replaced_where_they_are_known(text: str, folder: str) -> None:
    assert dockerfile.read(text).config.folder == folder


def test_environment_takes_several_quoted_values_in_a_line() -> None:
    recipe = dockerfile.read("FROM a\nENV A=1 B=\"two words\" C=x\\ y D='z'\nENV E long value\n")
    assert recipe.config.environment == {
        "A": "1",
        "B": "two words",
        "C": "x y",
        "D": "z",
        "E": "long value",
    }


def test_an_entrypoint_forgets_the_cmd_of_its_base_but_not_its_own() -> None:
    base = "FROM a AS base\nCMD one\nFROM base\n"
    assert dockerfile.read(base + 'ENTRYPOINT ["x"]').config.cmd == ()
    assert dockerfile.read(base + 'CMD ["y"]\nENTRYPOINT ["x"]').config.cmd == ("y",)


def test_a_healthcheck_can_be_taken_back() -> None:
    assert dockerfile.read("FROM a\nHEALTHCHECK CMD true").config.healthcheck
    assert not dockerfile.read("FROM a\nHEALTHCHECK CMD true\nHEALTHCHECK NONE").config.healthcheck


@pytest.mark.parametrize(
    ("copied", "path", "source"),
    [
        ("COPY train.py /opt/p/", "/opt/p/train.py", "train.py"),
        ("COPY src/train.py /opt/p/go.py", "/opt/p/go.py", "src/train.py"),
        ("COPY src /opt/p", "/opt/p/a/train.py", "src/a/train.py"),
        ("COPY . .", "/w/train.py", "train.py"),
        ("COPY *.py ./", "/w/train.py", "train.py"),
        ('COPY ["src/a b.py", "/p/"]', "/p/a b.py", "src/a b.py"),
        ("COPY --chmod=755 --chown=1:1 run.sh /run.sh", "/run.sh", "run.sh"),
    ],
)
def test_a_file_of_the_image_is_traced_to_the_folder(copied: str, path: str, source: str) -> None:
    recipe = dockerfile.read(f"FROM a\nWORKDIR /w\n{copied}\n")
    assert source in list(recipe.sources_of(path))


def test_a_later_copy_wins() -> None:
    recipe = dockerfile.read("FROM a\nCOPY a.py /x.py\nCOPY b.py /x.py\n")
    assert next(recipe.sources_of("/x.py")) == "b.py"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"])), min_size=1))
def test_the_list_form_keeps_every_word(words: list[str]) -> None:
    text = f"FROM a\nENTRYPOINT {json.dumps(words)}"
    assert dockerfile.read(text).config.entrypoint == tuple(words)


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    dockerfile.read(text)


@given(st.lists(st.sampled_from(["FROM a", "RUN <<E", "E", "COPY x", "ENV", "ARG", "\\", "# x"])))
def test_any_order_of_odd_lines_can_be_read(lines: list[str]) -> None:
    dockerfile.read("\n".join(lines))
