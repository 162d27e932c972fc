from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.language import count_letters, language


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Shares fall", "en"),
        ("Société Générale übernimmt Ørsted", "en"),
        ("Ｓｈａｒｅｓ fall", "en"),
        ("Samsung 삼성전자 rises on strong chip demand", "en"),
        ("Газпром (Gazprom) raises its dividend forecast", "en"),
        ("股价大跌", "zh"),
        ("買入 $AAPL", "zh"),
        ("腾讯控股发布财报，鲜の每日将在港交所上市", "zh"),
        ("日銀、金利を据え置き", "und"),
        ("トヨタ、純利益3割増", "und"),
        ("삼성전자 주가 급락", "und"),
        ("三星電子 주가 急落", "und"),
        ("Акции падают", "und"),
        ("أسهم أرامكو تتراجع", "und"),
        ("הבורסה ננעלה בירידות", "und"),
        ("शेयर बाजार में गिरावट", "und"),
        ("หุ้นไทยร่วง", "und"),
        ("Μετοχές πέφτουν", "und"),
        ("", "und"),
        ("123 % \U0001f680", "und"),
    ],
)
def test_the_language_goes_by_the_script(text: str, lang: str) -> None:
    assert language(text) == lang


@given(st.text())
def test_every_text_has_an_answer(text: str) -> None:
    assert language(text) in {"en", "zh", "und"}
    assert count_letters(text) or language(text) == "und"


@given(st.text("股价大跌利好abc12 .", min_size=1))
def test_more_chinese_does_not_make_it_less_so(text: str) -> None:
    if language(text) == "zh":
        assert language(text + "股") == "zh"
