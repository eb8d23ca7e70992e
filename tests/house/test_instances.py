"""domain/instances.tsv has what the service model names, and what is known of it."""

from tools.instance_types import TABLE, page

from trainshed.domain.instances import known, types
from trainshed.wire.model import load


def test_the_table_is_what_make_docs_writes() -> None:
    assert TABLE.read_text() == page(), "run: make docs"


def test_every_type_that_a_request_may_name_is_known() -> None:
    named = load("sagemaker").shapes["TrainingInstanceType"].enum
    assert set(named) == set(types())
    for name in named:
        instance = known(name)
        assert instance is not None
        assert instance.cpus >= 1
        assert instance.memory >= 1 << 30
