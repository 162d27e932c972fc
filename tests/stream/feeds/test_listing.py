"""A feeds file and what may be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.feeds import registry
from stream.feeds.base import FeedOptions, Source
from stream.feeds.listing import FeedsError, read_feeds, usable_feeds
from stream.feeds.registry import UnknownType, source_class
from stream.feeds.rss import RssSource


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "feeds.yaml"
    path.write_text(text)
    return path


def test_a_good_file(tmp_path: Path):
    path = written(
        tmp_path,
        """
feeds:
  - {id: wire, type: rss, url: "https://wire.example/rss", source: newswire, lang: en}
  - {id: cn, type: rss, url: "https://cn.example/rss", kind: comment, interval: 10m, lang: zh-Hans}
""",
    )
    wire, cn = usable_feeds(path)
    assert wire.source is RssSource
    assert (wire.options.interval, wire.options.kind, wire.options.internal) == (300, "news", False)
    assert (cn.options.interval, cn.options.kind) == (600, "comment")


def test_every_problem_names_its_line_its_feed_and_what_to_change(tmp_path: Path):
    path = written(
        tmp_path,
        """\
feeds:
  - id: a
    type: rss
  - {id: b, type: carrier-pigeon}
  - {id: c, type: rss, url: "ftp://c.example"}
  - {id: d, type: rss, url: "http://d.example", intervall: 5m}
  - {id: e, type: rss, url: "http://e.example", interval: soon}
  - {id: a, type: rss, url: "http://a.example"}
  - {id: "with space", type: rss, url: "http://f.example", lang: English please}
  - {url: "http://g.example"}
  - http://h.example
  - {id: fine, type: rss, url: "http://fine.example"}
""",
    )
    listing = read_feeds(path)
    assert [feed.id for feed in listing.feeds] == ["fine"]
    told = [str(problem) for problem in listing.problems]
    expected = [
        "line 2, feed a: url is missing; add it",
        "line 4, feed b: type 'carrier-pigeon' is none of ",
        "line 5, feed c: url must begin with http:// or https://",
        "line 6, feed d: unknown key intervall; this type takes id, internal, interval",
        "line 7, feed e: interval: say it in seconds, or as 30s, 5m, 2h or 1d",
        "line 8, feed a: the id is that of line 2; give it another",
        "line 9, feed with space: id: use 1 to 64 letters",
        "line 9, feed with space: lang: use a tag such as en or zh-Hans",
        "line 10, feed 8: type is missing; it is one of ",
        "line 11, feed 9: must be a mapping",
    ]
    assert len(told) == len(expected)
    for line, begins in zip(told, expected, strict=True):
        assert begins.split(": ", 1)[0] == line.split(": ", 1)[0]
        assert begins.split(": ", 1)[1] in line.replace("interval, internal", "internal, interval")
    with pytest.raises(FeedsError, match=r"feeds.yaml, line 2, feed a: .* \(and 9 more: "):
        usable_feeds(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("feeds: [", "is not YAML"),
        ("", "must hold a list"),
        ("feeds: {}", "must hold a list"),
        ("feeds: []", "is empty"),
        ("feeds: [{id: a}]\nfeed: []", "unknown key feed"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text, says):
    with pytest.raises(FeedsError, match=says):
        read_feeds(written(tmp_path, text))


def test_no_file(tmp_path: Path):
    with pytest.raises(FeedsError, match="cannot read feeds"):
        read_feeds(tmp_path / "none.yaml")


class Pigeon(Source):
    """A source of a package."""

    class Options(FeedOptions):
        loft: str


def test_a_plug_in_is_found_by_its_entry_point(tmp_path: Path, monkeypatch):
    info = tmp_path / "pigeons-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\npigeon = {__name__}:Pigeon\nbroken = no_such_module:X\n"
        f"wrong = {__name__}:Path\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert source_class("pigeon") is Pigeon
    assert {"pigeon", "rss"} <= set(registry.names())
    with pytest.raises(UnknownType, match="cannot be loaded"):
        source_class("broken")
    with pytest.raises(UnknownType, match="is no stream.feeds.base.Source"):
        source_class("wrong")
    path = written(tmp_path, "feeds: [{id: p, type: pigeon, loft: roof}]")
    [feed] = usable_feeds(path)
    assert feed.source is Pigeon
