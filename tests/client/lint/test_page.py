"""docs/how-to/check-an-image.md lists every rule, as the table of rules has it."""

import re
from pathlib import Path

from trainshed.client.lint.findings import Finding, Rule, Severity, worst_first
from trainshed.client.lint.table import RULES, SUBJECTS

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "check-an-image.md"


def row(rule: Rule) -> str:
    cells = (rule.title, rule.sagemaker, rule.here or "the same", rule.mend)
    told = " | ".join(cell.replace("|", "\\|").replace("<", "\\<") for cell in cells)
    return f"| {rule.code} | {rule.severity} | {told} |"


def test_the_page_has_a_row_for_each_rule_as_the_code_words_it() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| TS")]
    assert rows == [row(rule) for rules in SUBJECTS.values() for rule in rules]


def test_the_page_has_the_codes_subjects_as_headings() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE)
    assert headings == list(SUBJECTS)


def test_no_code_is_given_twice() -> None:
    assert len(RULES) == sum(len(rules) for rules in SUBJECTS.values())
    assert all(re.fullmatch(r"TS[1-4][0-9]{2}", code) for code in RULES)


def test_findings_come_worst_first_and_none_twice() -> None:
    rules = {rule.severity: rule for rule in RULES.values()}
    found: list[Finding] = [rules[level].at("x", "y") for level in reversed(Severity)] * 2
    assert [finding.rule.severity for finding in worst_first(found)] == list(Severity)
