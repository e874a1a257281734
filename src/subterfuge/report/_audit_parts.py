"""Small parts of a page: text that cannot become markup, JSON that cannot end its element, numbers as they are read."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any


def text(value: object) -> str:
    """Write a value as text that is no markup, in an element or in a quoted attribute.

    >>> text("<b>&")
    '&lt;b&gt;&amp;'
    """
    return html.escape(str(value), quote=True)


def json_block(name: str, value: Any) -> str:
    """Write JSON as an element of its own, which nothing in it can end.

    >>> json_block("a", "</script>")
    '<script type="application/json" id="a">"\\\\u003c/script\\\\u003e"</script>'
    """
    told = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII: U+2028 and U+2029 are escaped already
    for sign in "<>&":
        told = told.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{text(name)}">{told}</script>'


def asset(name: str) -> str:
    """Read a file of the page's folder."""
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def hash_of(content: str) -> str:
    """Name a script or a style as a Content-Security-Policy does."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def number(value: object, digits: int = 1, nothing: str = "–") -> str:
    """Show a number with so many digits behind the point, and what is none as a dash.

    >>> number(3.14159, 2), number(None), number(1234567.0, 0)
    ('3.14', '–', '1,234,567')
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return nothing
    shown = f"{value:,.{digits}f}"
    return shown.replace("-", "−") if float(shown.replace(",", "")) else shown.lstrip("-")


def percent(value: object, digits: int = 0, nothing: str = "–") -> str:
    """Show a share, 0 .. 1, as a percentage."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return nothing
    return f"{number(100 * value, digits)} %"


def table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True, classes: str = ""
) -> str:
    """Write a table, wide ones in a scroller of their own; the first cell of a row is its head.

    Args:
        caption: text.
        heads: text.
        rows: markup, so whatever is no markup went through `text`.
        numbers: whether all cells but a row's first are numbers.
        classes: of the table.
    """
    top = "".join(f'<th scope="col">{text(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>' for row in rows
    )
    kind = f' class="{text(f"numbers {classes}" if numbers else classes)}"'
    return (
        f'<div class="scroller" role="region" aria-label="{text(caption)}" tabindex="0"><table{kind}>'
        f"<caption>{text(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def mapping(value: object) -> Mapping[str, Any]:
    """Give a mapping back, and of anything else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    """Give a list or tuple back, and of anything else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def real(value: object) -> float | None:
    """Give a finite number, and of anything else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
