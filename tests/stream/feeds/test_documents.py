from __future__ import annotations

import json

import pytest

from stream.authors import marked
from stream.feeds.base import FeedOptions, Item
from stream.feeds.documents import outgoing
from stream.scorer import BadDocument

OPTIONS = FeedOptions(id="wire", type="rss", kind="news", lang="en")


def sent(item: Item, options: FeedOptions = OPTIONS) -> dict:
    message = outgoing(item, options, "wire", "topic", b"key")
    value = json.loads(message.value)
    assert message.key == value["id"].encode()
    return value


def test_gaps_are_filled_from_the_feed_and_the_author_is_hashed():
    value = sent(Item({"text": "茅台", "author": "ana", "title": None, "other": 1}, key="7"))
    assert value.pop("id") == sent(Item({"text": "x"}, key="7"))["id"]
    assert value == {
        "text": "茅台",
        "source": "wire",
        "kind": "news",
        "lang": "en",
        "author": marked("ana", b"key"),
        "tags": [],
    }


def test_what_the_item_says_wins():
    value = sent(Item({"text": "x", "source": "s", "kind": "filing", "lang": "zh", "id": "i"}))
    assert [value[name] for name in ("source", "kind", "lang", "id")] == ["s", "filing", "zh", "i"]
    weighed = OPTIONS.model_copy(update={"weight": 0.5})
    assert sent(Item({"text": "x"}), weighed)["weight"] == 0.5
    assert sent(Item({"text": "x", "weight": 2}), weighed)["weight"] == 2
    named = OPTIONS.model_copy(update={"source": "newswire"})
    assert sent(Item({"text": "x"}), named)["source"] == "newswire"


def test_what_is_too_long_is_cut():
    value = sent(Item({"text": "x" * 50_000, "title": "t" * 5000, "url": "http://" + "u" * 5000}))
    assert (len(value["text"]), len(value["title"]), "url" in value) == (20_000, 1000, False)


@pytest.mark.parametrize("bad", [{}, {"text": ""}, {"text": "x", "kind": "k"}, {"text": "\ud800"}])
def test_what_is_no_document_is_said_so(bad):
    with pytest.raises(BadDocument):
        sent(Item(bad))
