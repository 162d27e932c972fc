"""JSON APIs: fields, pages, cursors, and answers that are none."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stream.feeds.base import SourceError
from stream.feeds.json_api import JsonOptions
from tests.stream.feeds.reading import read
from tests.stream.feeds.web import Handler, Web, send

REDDIT = {
    "params": {"limit": 2, "raw_json": 1},
    "items": "data.children",
    "fields": {
        "id": "data.name",
        "title": "data.title",
        "text": ["data.selftext", "data.title"],
        "author": "data.author",
        "published_at": "data.created_utc",
    },
    "paging": {"path": "data.after", "param": "after"},
}


def entry(web: Web, **more: Any) -> dict[str, Any]:
    return {"id": "api", "type": "http-json", "url": f"{web.url}/api", "internal": True, **more}


def query(handler: Handler) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}


def reddit(web: Web, posts: list[int]) -> None:
    """A listing as Reddit's, newest first, two a page."""

    def answer(handler: Handler) -> None:
        asked = query(handler)
        newest = sorted(posts, reverse=True)
        begin = newest.index(int(asked["after"][3:])) + 1 if "after" in asked else 0
        page = newest[begin : begin + int(asked["limit"])]
        after = f"t3_{page[-1]}" if page and page[-1] != newest[-1] else None
        children = [
            {
                "kind": "t3",
                "data": {
                    "name": f"t3_{n}",
                    "title": f"post {n}",
                    "selftext": "",
                    "author": "ana",
                    "created_utc": 1772627287.0 + n,
                },
            }
            for n in page
        ]
        send(handler, json.dumps({"data": {"after": after, "children": children}}).encode())

    web.routes["/api"] = answer


def test_a_listing_is_read_back_to_what_is_known(web: Web):
    reddit(web, [1, 2, 3, 4, 5])
    [batch] = read(entry(web, **REDDIT))
    assert [item.key for item in batch.items] == [f"t3_{n}" for n in (1, 2, 3, 4, 5)]
    assert batch.items[0].document["text"] == "post 1"
    known = {item.key for item in batch.items}
    reddit(web, [1, 2, 3, 4, 5, 6, 7, 8])
    before = len(web.requests)
    [batch] = read(entry(web, **REDDIT), batch.cursor, known.__contains__)
    assert [item.key for item in batch.items if item.key not in known] == ["t3_6", "t3_7", "t3_8"]
    assert len(web.requests) - before == 3  # two with something new, one without


def test_no_more_pages_than_allowed(web: Web):
    reddit(web, list(range(1, 100)))
    [batch] = read(entry(web, **REDDIT, pages=3))
    assert (len(batch.items), len(web.requests)) == (6, 3)


def test_a_cursor_is_followed_forwards_and_kept(web: Web):
    rows = [{"id": n, "text": f"t{n}"} for n in range(5)]

    def answer(handler: Handler) -> None:
        since = int(query(handler).get("since", 0))
        page = rows[since : since + 2]
        send(handler, json.dumps({"next": since + len(page), "rows": page}).encode())

    web.routes["/api"] = answer
    feed = entry(web, items="rows", since={"path": "next", "param": "since"})
    batches = read(feed)
    assert [len(batch.items) for batch in batches] == [2, 2, 1, 0]
    rows.append({"id": 5, "text": "t5"})
    [batch, empty] = read(feed, batches[-1].cursor)
    assert [item.key for item in batch.items] == ["5"]
    assert empty.items == () or empty.items == []


def test_the_next_page_may_be_an_address(web: Web):
    web.answer("/api", b'{"rows": [{"text": "b", "id": "2"}], "next": "/page?n=2"}')
    web.answer("/page", b'{"rows": [{"text": "a", "id": "1"}]}')
    [batch] = read(entry(web, items="rows", paging={"path": "next"}, params={"key": "k"}))
    assert [item.key for item in batch.items] == ["1", "2"]
    assert [path for path, _ in web.requests] == ["/api?key=k", "/page?n=2"]


def test_headers_from_the_environment_go_to_their_host_only(web: Web, monkeypatch):
    monkeypatch.setenv("NEWS_TOKEN", "t0p")
    other = web.url.replace("127.0.0.1", "localhost")
    web.answer("/api", json.dumps({"rows": [{"text": "a"}], "next": f"{other}/x"}).encode())
    web.answer("/x", b'{"rows": []}')
    feed = entry(
        web,
        items="rows",
        paging={"path": "next"},
        headers={"Authorization": "Bearer ${NEWS_TOKEN}"},
    )
    read(feed)
    assert web.asked("/api")[0]["authorization"] == "Bearer t0p"
    assert "authorization" not in web.asked("/x")[0]
    monkeypatch.delenv("NEWS_TOKEN")
    [problem] = JsonOptions.model_validate(feed).problems()
    assert "${NEWS_TOKEN}" in problem


def test_an_item_without_an_id_is_known_by_what_it_says(web: Web):
    web.answer("/api", b'[{"text": "a"}, {"text": "b", "url": "http://b.example"}, 7]')
    [first] = read(entry(web))
    [second] = read(entry(web))
    assert [item.key for item in first.items] == [item.key for item in second.items]
    assert first.items[1].key == "http://b.example"
    assert first.bad == ["item 3: a JSON int, not an object"]


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"<html>", "is not JSON"), (b'{"error": "x"}', "no list"), (b"", "not JSON")],
)
def test_another_answer_is_an_error(web: Web, body, says):
    web.answer("/api", body)
    with pytest.raises(SourceError, match=says) as raised:
        read(entry(web, items="rows"))
    assert raised.value.kind == "parse"


def test_a_cursor_needs_its_parameter(web: Web):
    options = JsonOptions.model_validate(entry(web, since={"path": "next"}))
    assert options.problems() == ["since needs a param, which carries the value"]
