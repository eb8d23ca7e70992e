"""What an operator is told on its command line, and what it says."""

import json
import logging

import pytest

from trainshed.operator import log_lines
from trainshed.operator.settings import read


def test_without_a_word_it_works_for_all_namespaces_and_alone() -> None:
    told = read([], {})
    assert (told.namespaces, told.endpoint, told.lease) == ((), "", "")
    assert (told.metrics, told.probes) == (":8080", ":8081")


def test_namespaces_come_one_by_one_or_as_a_list() -> None:
    assert read(["--namespace=a,b", "--namespace", "c"], {}).namespaces == ("a", "b", "c")


def test_the_first_operators_words_are_understood() -> None:
    env = {"AWS_DEFAULT_SAGEMAKER_ENDPOINT": "http://shed:7070", "POD_NAMESPACE": "ops"}
    told = read(["--enable-leader-election", "--metrics-addr=127.0.0.1:8080"], env)
    assert told.endpoint == "http://shed:7070"
    assert told.lease == "sagemaker-k8s-operator-controller-manager"
    assert told.lease_namespace == "ops"
    assert not read(["--enable-leader-election=false"], env).lease


def test_the_command_line_goes_before_the_environment() -> None:
    env = {"AWS_DEFAULT_SAGEMAKER_ENDPOINT": "http://one"}
    assert read(["--sagemaker-endpoint", "http://two"], env).endpoint == "http://two"


def test_a_pods_name_is_the_operators() -> None:
    assert read([], {"POD_NAME": "manager-1"}).me == "manager-1"
    assert read([], {}).me != read([], {}).me


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(["--name", "x"], {})
    assert "--name" in capsys.readouterr().err


def record(**words: str) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": "a job\nended", "levelname": "INFO", "name": "operator"})
    vars(made).update(words)
    return made


def test_a_line_is_a_sentence_and_words() -> None:
    line = log_lines.Text().format(record(object="trainingjobs/a/b"))
    assert line.endswith("INFO operator: a job ended object=trainingjobs/a/b")


def test_a_line_may_be_json() -> None:
    line = json.loads(log_lines.Json().format(record(object="trainingjobs/a/b")))
    assert line["object"] == "trainingjobs/a/b"
    assert line["level"] == "info"
