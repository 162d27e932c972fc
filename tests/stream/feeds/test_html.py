from __future__ import annotations

import pytest
from hypothesis import given, strategies

from stream.feeds.html import text_of, untracked


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain words", "plain words"),
        ("<p>One.</p><p>Two &amp; three</p>", "One. Two & three"),
        ("a<br>b<br/>c", "a b c"),
        ("bro<b>ken</b> words", "broken words"),
        ("<script>track()</script>Profit <style>p{}</style>warning", "Profit warning"),
        ("<script>if (a < b) { '</p>' }</script>Loss", "Loss"),
        ('<img src="https://tracker.example/1x1.gif" alt="x">Loss', "Loss"),
        ("<iframe src=x>no frames</iframe><noscript>enable</noscript>Loss", "Loss"),
        ("<svg><title>logo</title><path/></svg>Loss", "Loss"),
        ("AT&amp;amp;T &amp;lt; 5 %", "AT&T < 5 %"),
        ("profit &lt; loss", "profit < loss"),
        ("a&nbsp;b\u200b&shy;c", "a bc"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("<p>never closed <b>at all", "never closed at all"),
        ("</script></p>stray ends", "stray ends"),
        ("茅台跌停。<br>，恐慌！", "茅台跌停。 ，恐慌！"),
        ("<!-- ad -->seen<![CDATA[x]]>", "seen"),
    ],
)
def test_what_a_reader_sees(markup, text):
    assert text_of(markup) == text


@given(strategies.text(alphabet="<>/&;#x!-[]'\"= abscript\x00\n茅"))
def test_no_markup_breaks_it(markup):
    text = text_of(markup)
    assert "\n" not in text
    assert text == text.strip()


def test_addresses_lose_what_only_tracks():
    assert untracked("https://x.example/a?utm_source=rss&id=7&fbclid=q#p") == (
        "https://x.example/a?id=7#p"
    )
    for kept in ("https://x.example/a?b=%E8%8C%85&c", "https://x.example/", "http://[", ""):
        assert untracked(kept) == kept
