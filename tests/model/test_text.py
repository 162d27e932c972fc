from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text import clean


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("  Shares   fall \n 5%  ", "Shares fall 5%"),
        ("S&amp;P &lt;500&gt;", "S&P <500>"),
        ("Profit up https://t.co/abc?x=1 again", "Profit up again"),
        ("see www.example.com/path", "see"),
        ("$AAPL #earnings @trader", "$AAPL #earnings @trader"),
        ("ＡＢＣ　１２３", "ABC 123"),
        ("股价\u200b下跌", "股价 下跌"),
        ("null\x00byte\x07", "null byte"),
        ("", ""),
    ],
)
def test_cleaning(given_text: str, expected: str) -> None:
    assert clean(given_text) == expected


def test_case_is_kept() -> None:
    assert clean("ALL Time High") == "ALL Time High"


@given(st.text())
def test_what_is_clean_has_no_controls_and_no_outer_space(text: str) -> None:
    cleaned = clean(text)
    assert cleaned == cleaned.strip()
    assert not any(c in cleaned for c in "\x00\n\t\u200b\ufeff")
    assert "  " not in cleaned
