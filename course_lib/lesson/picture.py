"""A picture as HTML: its words reach the `img` tag, and stand under it for everyone to read.

JupyterLab draws an `image/png` output without alternative text, whatever the output's metadata say, and a widget's
picture has none either. HTML carries the words everywhere: in JupyterLab, whose sanitiser keeps `alt` and data URLs, in
a saved page, on the web.
"""

import base64
from html import escape


def figure_html(png: bytes, alt: str, *, onload: str = "") -> str:
    """The picture, never wider than its cell, with `alt` as its alternative text and, small, as its caption.

    The caption is hidden from screen readers, which have just read the same sentence.

    alt: one sentence that says what the picture shows. onload: JavaScript to run when the picture is there.
    """
    if not alt.strip():
        raise ValueError("alt is empty; say in one sentence what the figure shows")
    words, action = escape(alt), f' onload="{escape(onload)}"' if onload else ""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return (
        f'<figure style="margin: 0"><img alt="{words}" style="max-width: 100%"{action} src="{source}">'
        f'<figcaption aria-hidden="true"><small>{words}</small></figcaption></figure>'
    )
