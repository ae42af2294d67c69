"""What a page of HTML points to."""

from __future__ import annotations

from html.parser import HTMLParser


class Addresses(HTMLParser):
    """Collects what a page points to, and its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.elements: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href") and value]
