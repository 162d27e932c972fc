"""RSS and Atom as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stream.feeds.base import SourceError
from tests.stream.feeds.reading import read
from tests.stream.feeds.web import Handler, Web, send

RSS = """<?xml version="1.0" encoding="{encoding}"?>
<rss version="2.0"><channel><title>Wire</title><link>https://wire.example/</link>{items}
</channel></rss>"""
ITEM = """<item><title>{title}</title><link>https://wire.example/{n}?utm_source=rss</link>
<guid isPermaLink="false">{n}</guid><pubDate>Wed, 04 Mar 2026 12:28:07 GMT</pubDate>
<author>ana</author><description>{text}</description></item>"""


def rss(*items: str, encoding: str = "utf-8") -> bytes:
    return RSS.format(encoding=encoding, items="".join(items)).encode(encoding)


def item(
    n: int = 1, title: str = "Corvane cuts", text: str = "It &lt;b&gt;halves&lt;/b&gt;"
) -> str:
    return ITEM.format(n=n, title=title, text=text)


def entry(web: Web, path: str = "/feed", **more: Any) -> dict[str, Any]:
    return {"id": "wire", "type": "rss", "url": web.url + path, "internal": True, **more}


def documents(web: Web, **more: Any) -> list[dict[str, Any]]:
    [batch] = read(entry(web, **more))
    return [dict(found.document) for found in batch.items]


def test_an_item_becomes_a_document(web: Web):
    web.answer("/feed", rss(item(2, "Newer"), item(1)))
    [batch] = read(entry(web))
    assert [found.key for found in batch.items] == ["1", "2"]
    assert batch.items[0].document == {
        "title": "Corvane cuts",
        "text": "It halves",
        "url": "https://wire.example/1",
        "author": "ana",
        "published_at": "2026-03-04T12:28:07+00:00",
    }


def test_atom_is_read_with_its_content(web: Web):
    web.answer(
        "/feed",
        b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><entry>
        <id>urn:1</id><title type="html">Profit &amp;amp; loss</title><updated>2026-03-04T12:00:00Z
        </updated><link href="https://a.example/1"/><summary>short</summary>
        <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>The whole story.</p>
        <script>track()</script></div></content></entry></feed>""",
    )
    [found] = documents(web)
    assert (found["title"], found["text"]) == ("Profit & loss", "The whole story.")
    assert found["published_at"] == "2026-03-04T12:00:00+00:00"


def test_what_has_not_changed_is_not_sent_again(web: Web):
    def conditional(handler: Handler) -> None:
        same = handler.headers.get("If-None-Match") == '"7"'
        tags = {"etag": '"7"', "last_modified": "Wed, 04 Mar 2026 12:00:00 GMT"}
        send(handler, b"" if same else rss(item()), 304 if same else 200, **tags)

    web.routes["/feed"] = conditional
    [first] = read(entry(web))
    [second] = read(entry(web), first.cursor)
    assert (len(first.items), len(second.items)) == (1, 0)
    asked = web.asked("/feed")
    assert "if-none-match" not in asked[0]
    assert asked[1]["if-modified-since"] == "Wed, 04 Mar 2026 12:00:00 GMT"
    assert second.cursor == first.cursor


def test_an_address_that_moved_is_kept_until_the_file_changes(web: Web):
    web.answer("/feed", b"", 301, location="/new")
    web.answer("/new", rss(item()))
    [first] = read(entry(web))
    read(entry(web), first.cursor)
    assert (len(web.asked("/feed")), len(web.asked("/new"))) == (1, 2)
    web.answer("/other", rss(item()))
    read(entry(web, "/other"), first.cursor)
    assert len(web.asked("/other")) == 1


@pytest.mark.parametrize("declared", ["gb18030", "gb2312", "gbk"])
def test_chinese_encodings_are_read(web: Web, declared):
    # Much that says gb2312 is not: 镕 is in GBK only, 㐂 in GB18030 only.
    title = "朱镕基㐂：茅台跌停，“恐慌”！"
    body = rss(item(title=title), encoding="gb18030").replace(
        b'encoding="gb18030"', f'encoding="{declared}"'.encode()
    )
    web.answer("/feed", body, content_type="text/xml")
    assert documents(web)[0]["title"] == title


def test_a_charset_of_the_header_counts(web: Web):
    body = rss(item(title="茅台"), encoding="gb18030").replace(b' encoding="gb18030"', b"")
    web.answer("/feed", body, content_type="application/rss+xml; charset=gb18030")
    assert documents(web)[0]["title"] == "茅台"


@pytest.mark.parametrize(
    "body",
    [
        rss(item(1), item(2))[:-60],
        rss(item(1, text="fish & chips &nbsp; <b>bold"), item(2)),
        b"\n\n" + rss(item(1), item(2)),
        rss(item(1), item(2)).replace(b"</guid>", b"\x0b</guid>"),
    ],
)
def test_broken_xml_gives_what_can_be_read(web: Web, body):
    web.answer("/feed", body)
    assert "Corvane cuts" in [found["title"] for found in documents(web)]


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>Sign in</body></html>", b'{"a": 1}', b"\xff\0"]
)
def test_what_is_no_feed_is_an_error(web: Web, body):
    web.answer("/feed", body, content_type="text/html")
    with pytest.raises(SourceError, match="neither RSS nor Atom") as raised:
        read(entry(web))
    assert raised.value.kind == "parse"


def test_the_name_of_a_file_is_not_that_file(web: Web, tmp_path: Path):
    (tmp_path / "secret.xml").write_bytes(rss(item()))
    web.answer("/feed", str(tmp_path / "secret.xml").encode())
    with pytest.raises(SourceError, match="neither RSS nor Atom"):
        read(entry(web))


def test_an_empty_feed_is_none(web: Web):
    web.answer("/feed", rss())
    assert documents(web) == []


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 01 Jan 0001 00:00:00 GMT"])
def test_an_item_without_a_date_has_none(web: Web, date):
    web.answer("/feed", rss(item().replace("Wed, 04 Mar 2026 12:28:07 GMT", date)))
    assert documents(web)[0]["published_at"] is None


def test_an_item_of_a_title_alone_and_one_of_nothing(web: Web):
    web.answer("/feed", rss("<item><title>Only this</title></item>", "<item><x>y</x></item>"))
    [batch] = read(entry(web))
    [found] = batch.items
    assert (found.document["text"], found.document["title"]) == ("Only this", None)
    assert found.key
    assert batch.bad == ["item 2 has neither text nor title"]


def test_an_entity_bomb_is_not_expanded(web: Web):
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    body = rss(item(text="&c;")).replace(b"<rss", bomb.encode() + b"<rss")
    web.answer("/feed", body)
    assert "haha" not in documents(web)[0]["text"]
