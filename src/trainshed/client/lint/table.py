"""Every rule, by its code: docs/how-to/check-an-image.md is held to this table."""

from collections.abc import Mapping
from typing import Final

from trainshed.client.lint import files, folder, image, metrics, program, scripts
from trainshed.client.lint.findings import Rule

SUBJECTS: Final[Mapping[str, tuple[Rule, ...]]] = {
    "How the image starts": image.RULES,
    "The program that is process 1": scripts.RULES,
    "What lies in the image": files.RULES,
    "The script of script mode": program.RULES,
    "The folder of code": folder.RULES,
    "Metrics": metrics.RULES,
}
RULES: Final[Mapping[str, Rule]] = {
    rule.code: rule for rules in SUBJECTS.values() for rule in rules
}
