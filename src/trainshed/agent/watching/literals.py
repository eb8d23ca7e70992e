"""What a text must contain, word for word, wherever a regular expression is to match.

Most metrics are asked for by something like ``loss=([0-9.]+)``. A search for ``loss=`` in a million
bytes takes less time than the expression takes for a few lines.
"""

import re
from collections.abc import Iterator
from typing import Final

_SYNTAX: Final = r"""
    (?P<escape> \\ (?: [dDsSwWbBAZ] | [^a-zA-Z0-9] ) )
    | (?P<class> \[ \^? \]? (?: \\ . | [^\]\\] )* \] )
    | (?P<open> \( (?: (?! \? ) | \? (?: : | P<\w+> ) ) )
    | (?P<close> \) )
    | (?P<repeat> [*+?]+ | \{ [0-9,]* \} [?+]? )
    | (?P<other> [.^$] )
    | (?P<plain> [^\\|(){}\[\]*+?.^$] )
"""
_FLAGS: Final = re.IGNORECASE | re.VERBOSE


def literal_of(pattern: re.Pattern[str]) -> str:
    """Return the longest such text that is easily found; "" where none is."""
    if pattern.flags & _FLAGS:
        return ""
    return max(_runs(pattern.pattern), key=len, default="")


def _runs(text: str) -> Iterator[str]:
    """Yield the runs of plain characters outside of all groups; nothing where one is not sure."""
    # Here, not where this is imported: most jobs ask for no metrics, and wait for their first line.
    syntax = re.compile(_SYNTAX, re.VERBOSE | re.DOTALL)
    tokens, at = [], 0
    while at < len(text):
        token = syntax.match(text, at)
        if token is None:  # an alternative, a look ahead, a number of a character
            return
        tokens.append((token.lastgroup, token[0]))
        at = token.end()
    run, depth = "", 0
    for kind, said in [*tokens, ("other", "")]:
        depth += (kind == "open") - (kind == "close")
        plain = kind == "plain" or (kind == "escape" and not said[1].isalpha())
        if depth == 0 and plain:
            run += said[-1]
            continue
        if kind == "repeat":
            run = run[:-1]
        yield run
        run = ""
