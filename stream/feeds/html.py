"""HTML to the text that a reader sees."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SILENT = frozenset(
    "audio button canvas embed form head iframe math nav noscript object script select style svg "
    "template textarea video".split()
)
"""Elements whose contents are no text of the author's."""

_BLOCKS = frozenset(
    "address article aside blockquote br caption dd div dl dt figcaption figure footer h1 h2 h3 h4 "
    "h5 h6 header hr li main ol p pre section table td th tr ul".split()
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff\xad]")
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|dclid|msclkid|mc_[ce]id|igshid|spm", re.IGNORECASE)


class _Text(HTMLParser):
    """Collects what is read; ends well on HTML that is broken anywhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # <script/> opens a script in HTML, but no feed that writes it means that.
        if tag in _BLOCKS:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            while self._silent.pop() != tag:
                pass
        elif tag in _BLOCKS:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def text_of(markup: str) -> str:
    """The words of HTML, or of plain text, on one line.

    Scripts, styles, pictures and forms are gone, entities are characters, also where they were
    escaped twice. Width and case stay as they are: the classifier has a cleaning of its own.
    """
    parser = _Text()
    parser.feed(markup)
    parser.close()
    text = "".join(parser.parts)
    if _ENTITY.search(text):
        text = html.unescape(text)
    return " ".join(_CONTROLS.sub("", text.replace("\xa0", " ")).split())


def untracked(url: str) -> str:
    """The address without what only says who clicked where."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not parts.query:
        return url
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if not _TRACKING.fullmatch(name)]
    if len(kept) == len(pairs):
        return url
    return urlunsplit(parts._replace(query=urlencode(kept)))
