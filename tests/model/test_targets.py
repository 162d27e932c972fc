from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.targets import mention, name_of
from model.text import clean

TEXT = "Nokia &amp; Ericsson: http://x.y/z Nokia falls, ericsson gains"


def test_a_name_is_cleaned_and_a_span_is_the_words_it_holds() -> None:
    assert name_of(TEXT, " AT&amp;T\u200b ") == "AT&T"
    assert name_of(TEXT, (12, 20)) == "Ericsson"
    assert name_of(TEXT, (0, 20)) == "Nokia & Ericsson"


@pytest.mark.parametrize("span", [(3, 3), (5, 2), (-4, 2), (0, 999), (70, 80)])
def test_a_span_that_is_none_is_named(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"target \({span[0]}, {span[1]}\) is empty or not with"):
        name_of(TEXT, span)


def test_nothing_is_no_name() -> None:
    with pytest.raises(ValueError, match="target ' ' is no name"):
        name_of(TEXT, " ")
    with pytest.raises(ValueError, match=r"target \(5, 6\) holds no name, but ' '"):
        name_of(TEXT, (5, 6))


def found(target: str | tuple[int, int]) -> tuple[int, int] | None:
    return mention(TEXT, target, clean(TEXT), name_of(TEXT, target))


def test_the_first_mention_of_a_name_counts_in_whatever_case() -> None:
    assert clean(TEXT) == "Nokia & Ericsson: Nokia falls, ericsson gains"
    assert found("Nokia") == (0, 4)
    assert found("ERICSSON") == (8, 15)
    assert found("Siemens") is None


def test_the_mention_that_a_span_marks_counts() -> None:
    start = TEXT.rindex("Nokia")
    assert found((start, start + 5)) == (18, 22)
    start = TEXT.rindex("ericsson")
    assert found((start, start + 8)) == (31, 38)


def test_a_name_is_no_pattern() -> None:
    assert mention("a.b (x", "(x", "a.b (x", "(x") == (4, 5)


@given(st.text(max_size=40), st.integers(-5, 45), st.integers(-5, 45))
def test_a_span_gives_a_name_or_is_refused(text: str, start: int, end: int) -> None:
    if not (0 <= start < end <= len(text) and clean(text[start:end])):
        with pytest.raises(ValueError, match=rf"\({start}, {end}\)"):
            name_of(text, (start, end))
        return
    name = name_of(text, (start, end))
    assert name == clean(text[start:end])
    where = mention(text, (start, end), clean(text), name)
    assert where is None or 0 <= where[0] <= where[1] < len(clean(text))
