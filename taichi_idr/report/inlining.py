"""A page with its pictures in it: one file to send."""

from __future__ import annotations

import base64
import mimetypes
import re
from html import unescape
from pathlib import Path

_SOURCE = re.compile(r'(<img[^>]*? src=")([^":]+)(")')


def inlined(html: str, folder: Path) -> str:
    """The page with every picture that lies in its folder written into it; others stay as they are."""

    def replaced(match: re.Match[str]) -> str:
        file = folder / unescape(match[2])
        kind = mimetypes.guess_type(file.name)[0] or "image/webp"
        if not file.is_file():
            return match[0]
        return f"{match[1]}data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}{match[3]}"

    return _SOURCE.sub(replaced, html)
