"""What docs/feeds.md shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.feeds.listing import read_feeds
from tests.servers import ROOT
from tests.stream.feeds.reading import read
from tests.stream.feeds.web import Web

GUIDE = (ROOT / "docs" / "feeds.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def gazette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source of the guide, installed as a package would be."""
    [program] = blocks("python")
    [project] = blocks("toml")
    header, entry = project.strip().splitlines()
    group = header.split('"')[1]
    (tmp_path / "gazette.py").write_text(program)
    info = tmp_path / "gazette-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gazette\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("gazette")
def test_every_example_is_a_feeds_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VENDOR_TOKEN", "x")
    monkeypatch.setenv("CRAWLER_PASSWORD", "x")
    path = tmp_path / "feeds.yaml"
    examples = blocks("yaml")
    assert len(examples) == 10
    for example in examples:
        path.write_text(example)
        assert read_feeds(path).problems == []


@pytest.mark.usefixtures("gazette")
def test_the_source_of_the_guide_reads(web: Web):
    web.answer("/notices", b"1\tfirst notice\n2\tsecond notice\n")
    entry = {"id": "g", "type": "gazette", "url": f"{web.url}/notices", "internal": True}
    [batch] = read(entry)
    assert [item.document["text"] for item in batch.items] == ["first notice", "second notice"]
    [again] = read(entry, batch.cursor)
    assert (list(again.items), again.cursor) == ([], {"last": 2})
