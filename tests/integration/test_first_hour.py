"""docs/first-hour.md, walked from top to bottom against servers of this machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import httpx
import pytest

from stream.broker import free_port
from tests.page import Block, Visit, blocks, clone, matches, missing
from tests.servers import ROOT, eventually
from tests.stream.feeds.test_rss import item, rss
from tests.stream.feeds.web import web_server

PAGE = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
FEED = "https://www.sec.gov/news/pressreleases.rss"
DATE = "Wed, 04 Mar 2026 12:28:07 GMT"
TITLES = ("SEC charges three in a crypto scheme", "SEC names a new chief accountant")


def feed() -> bytes:
    """Real RSS, of the last minutes."""
    now = datetime.now(UTC)
    assert DATE in item()
    return rss(
        *(
            item(number, title).replace(DATE, format_datetime(now - timedelta(minutes=number)))
            for number, title in enumerate(TITLES, start=1)
        )
    )


@pytest.mark.server
@pytest.mark.timeout(900)
def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    clone(tmp_path)
    with web_server() as web, Visit(tmp_path) as visit:
        web.answer("/press.rss", feed())
        # Only the addresses differ, and that this one is on this machine.
        assert PAGE.count(FEED) == 1
        visit.replaced = {
            FEED: f"{web.url}/press.rss\n    internal: true",
            "8099": f"{free_port()}",
        }
        for block in blocks(PAGE):
            check_prose(visit, block.before)
            visit.do(block)
            if found := re.search(r"^  page +http://127\.0\.0\.1:(\d+)/$", visit.printed, re.M):
                visit.replaced["8080"] = found[1]
        forged = httpx.post(f"http://127.0.0.1:{visit.replaced['8099']}/", content=b"{}")
        assert forged.status_code == 401
        assert web.asked("/press.rss")
        receiver, everything = visit.background
    assert "not from Barograph" in receiver.printed()
    assert "Stopped." in everything.printed()


def check_prose(visit: Visit, prose: str) -> None:
    """What the page says one sees elsewhere than in the terminal."""
    for link in re.findall(r"<(http://127\.0\.0\.1:8080/)>", prose):
        named = re.findall(r"\*(\w+)\*", prose)
        assert named == ["crypto", "market"]
        eventually(partial(shows, visit.here(link), named), 120)
    if seen := re.search(r"receiver has printed `(.*?)`", prose):
        line = seen[1]
        eventually(lambda: line in visit.background[0].printed())


def shows(url: str, topics: list[str]) -> bool:
    page = httpx.get(url, timeout=10).text
    return all(f">{topic}</a>" in page for topic in topics)


def test_a_line_stands_for_what_is_printed() -> None:
    assert matches("feed a: 25 documents  …", "feed a: 2 documents  2026-03-04  Corvane")
    assert matches("see /alerts/e7162c71f35add926d90", "see /alerts/0123456789abcdefabcd")
    assert not matches("2 entries, 0 remarks", "2 entries, no remarks")
    assert not matches("Stopped.", "Stopped?")
    assert missing("b\nc", "a\nb\nx\nc\n") == []
    assert missing("c\nb", "a\nb\nx\nc\n") == ["b"]


def test_a_block_that_is_neither_file_nor_command_is_refused(tmp_path: Path) -> None:
    (block,) = blocks("Words.\n\n```yaml\na: 1\n```\n")
    with pytest.raises(AssertionError, match="nobody is told"):
        Visit(tmp_path).do(block)
    assert block == Block("yaml", "a: 1\n", "", "Words.\n\n")


def test_a_command_that_fails_fails_the_walk(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such command"):
        Visit(tmp_path).do(Block("sh", "echo no such command; false\n"))
