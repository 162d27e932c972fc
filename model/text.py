"""The one cleaning that texts get before the tokenizer, in training and in serving alike."""

from __future__ import annotations

import html
import re
import unicodedata

_LINK = re.compile(r"(?:https?://|www\.)\S+")
# Control and format characters carry no words; a null byte breaks some tokenizers and databases.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """Unescape HTML, fold width and compatibility forms (NFKC), drop links and controls.

    Case is kept: whether it is folded is the tokenizer's business.
    """
    text = unicodedata.normalize("NFKC", html.unescape(text))
    text = _UNPRINTABLE.sub(" ", _LINK.sub(" ", text))
    return _SPACE.sub(" ", text).strip()
