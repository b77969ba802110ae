"""What a notebook shows of an object: self-contained HTML in which every text is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["escape", "image", "printed", "table"]


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table with a line of names.

    >>> table(["a"], [["<b>"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    names = "".join(f"<th>{escape(str(name))}</th>" for name in head)
    lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def image(png: bytes | None) -> str:
    """A picture within the page; "" for none.

    >>> image(b"PNG")
    '<img src="data:image/png;base64,UE5H" style="max-width:100%">'
    """
    if png is None:
        return ""
    return f'<img src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}" style="max-width:100%">'


def printed(report: object) -> str:
    """What an object prints, its lines and spaces kept.

    >>> printed("a  <b>")
    '<pre>a  &lt;b&gt;</pre>'
    """
    return f"<pre>{escape(str(report))}</pre>"
