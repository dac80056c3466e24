"""A picture as HTML: its words reach the `img` tag, and stand under it for everyone to read.

JupyterLab draws an `image/png` output without alternative text, whatever the output's metadata say, and a widget's
picture has none either. HTML carries the words everywhere: in JupyterLab, whose sanitiser keeps `alt` and data URLs, in
a saved page, on the web.
"""

import base64
from html import escape


def img_html(png: bytes, alt: str) -> str:
    """The `img` tag alone, never wider than its cell. alt: one sentence that says what the picture shows."""
    if not alt.strip():
        raise ValueError("alt is empty; say in one sentence what the figure shows")
    data = base64.b64encode(png).decode()
    return f'<img alt="{escape(alt)}" style="max-width: 100%" src="data:image/png;base64,{data}">'
