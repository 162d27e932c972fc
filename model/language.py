"""Which language a text is in, by its script."""

from __future__ import annotations

import re

UNDETERMINED = "und"
"""BCP 47 for a language that is not known."""

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA_OR_HANGUL = re.compile(
    "[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f"
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb]"
)
_LATIN = re.compile(
    "[A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
    "\u2c60-\u2c7f\ua722-\ua787\ufb00-\ufb06\uff21-\uff3a\uff41-\uff5a]"
)

# Japanese headlines have few kana, Chinese posts the odd の.
JAPANESE = 0.1
CHINESE = 0.2


def language(text: str) -> str:
    """``en``, ``zh`` or ``und``, by the letters.

    ``zh``: a fifth or more of them are Chinese characters, and these are not mixed with kana or
    Hangul, as Japanese and Korean mix them. ``und``: there are none, or most are in other scripts.
    ``en`` is the rest: among languages in Latin letters this tells no differences.
    """
    letters = count_letters(text)
    han, kana_or_hangul = len(_HAN.findall(text)), len(_KANA_OR_HANGUL.findall(text))
    if kana_or_hangul and kana_or_hangul >= JAPANESE * (han + kana_or_hangul):
        han = 0
    known = han + len(_LATIN.findall(text))
    if not letters or 2 * known < letters:
        return UNDETERMINED
    return "zh" if han >= CHINESE * letters else "en"


def count_letters(text: str) -> int:
    """Letters of any script."""
    return sum(map(str.isalpha, text))
