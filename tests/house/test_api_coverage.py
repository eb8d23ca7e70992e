"""docs/api-coverage.md says what the code offers."""

from tools.api_coverage import PAGE, page


def test_the_page_is_what_make_docs_writes() -> None:
    assert PAGE.read_text() == page(), "run: make docs"
