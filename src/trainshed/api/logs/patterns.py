"""Filter patterns: which log events a search wants.

``ERROR disk`` wants both terms, ``"disk full"`` the phrase, ``-DEBUG`` the absence of a term, and
of ``?WARN ?ERROR`` at least one. Terms mind the case and are found anywhere in the text. Patterns
over JSON members (``{ … }``), over columns (``[ … ]``) and regular expressions (``%…%``) are
refused.

Source: Amazon CloudWatch Logs user guide, "Filter pattern syntax". Where ``?`` terms stand beside
others the guide lets the service ignore them; here they still narrow the search.
"""

import re
from dataclasses import dataclass
from typing import Final

from trainshed.api.logs.rejections import invalid

_TERM: Final = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"]\S*))\s*')
_NOT_OFFERED: Final = {
    "{": "JSON patterns",
    "[": "space-delimited patterns",
    "%": "regular expressions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a text must and must not hold."""

    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    """At least one of them, when there are any."""

    def matches(self, text: str) -> bool:
        """Tell whether the text is wanted."""
        return (
            all(term in text for term in self.required)
            and not any(term in text for term in self.excluded)
            and (not self.optional or any(term in text for term in self.optional))
        )


def parse(pattern: str) -> Pattern:
    """Return what a filter pattern asks for; an empty one wants every event.

    Raises:
        RequestRejected: it cannot be understood, or is of a kind that is not offered.
    """
    pattern = pattern.strip()
    if what := _NOT_OFFERED.get(pattern[:1]):
        raise invalid(
            f"Invalid filter pattern: {what} are not offered by this server; "
            'use terms, "quoted phrases", -exclusions and ?alternatives'
        )
    found: dict[str, list[str]] = {"": [], "-": [], "?": []}
    position = 0
    while position < len(pattern):
        term = _TERM.match(pattern, position)
        if term is None:
            raise invalid(
                f"Invalid filter pattern: no term begins at character {position + 1} "
                f"({pattern[position : position + 20]!r}); a quote may be missing"
            )
        sign, phrase, word = term.groups()
        text = word if phrase is None else re.sub(r"\\(.)", r"\1", phrase)
        found[sign].append(text)
        position = term.end()
    return Pattern(
        required=tuple(found[""]), excluded=tuple(found["-"]), optional=tuple(found["?"])
    )
