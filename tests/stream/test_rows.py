from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.records import Document
from stream.rows import RowsError, document_row, keyed_rows, read_rows


def documents(path, source=None):
    return [json.loads(value) for _, value in read_rows(path, source)]


def test_a_document_is_left_as_it_is():
    row = {"text": "a", "source": "s", "published_at": "2024-01-01T00:00:00Z", "tags": ["X"]}
    assert document_row(row, "other") == row


def test_a_tweet_gets_time_tags_and_source():
    row = {"text": "Beat $C!", "time": "2014-01-01T00:00:00Z", "tickers": ["C"], "id": "1"}
    document = Document.model_validate(document_row(row, "twitter"))
    assert document.source == "twitter"
    assert document.tags == ("C",)
    assert document.published_at is not None


@pytest.mark.parametrize(
    ("body", "title", "text"),
    [
        ("All my savings.", "It crashed", "All my savings."),
        ("", None, "It crashed"),
        ("[removed]", None, "It crashed"),
        (None, None, "It crashed"),
    ],
)
def test_a_post_has_its_text_as_title_where_it_has_a_body(body, title, text):
    row = document_row({"text": "It crashed", "body": body, "subreddit": "Bitcoin"}, None)
    assert (row.get("title"), row["text"], row["source"]) == (title, text, "reddit/Bitcoin")


def test_a_body_is_kept_where_a_title_is_too_long_or_there_is_one_already():
    assert document_row({"text": "x" * 1001, "body": "y"}, "s")["text"].endswith("\n\ny")
    row = document_row({"text": "x", "body": "y", "title": "t"}, "s")
    assert (row["title"], row["text"]) == ("t", "x\n\ny")


def test_the_row_given_is_not_changed():
    row = {"text": "a", "body": "b"}
    document_row(row, "s")
    assert row == {"text": "a", "body": "b"}


def test_a_row_without_source_has_the_name_of_its_file(tmp_path):
    path = tmp_path / "2014.jsonl"
    path.write_text('{"text": "a"}\n')
    assert documents(path)[0]["source"] == "file/2014"
    assert documents(path, "feed")[0]["source"] == "feed"


def test_the_key_is_the_id_and_else_the_source(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "id": 7}\n{"text": "b", "source": "s"}\n')
    assert [row.key for row in keyed_rows(path)] == [b"7", b"s"]


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"[1, 2]",
        b'"text"',
        b'{"text": "broken',
        b'{"text": NaN}',
        b"\xff\xfe\x00",
        b'{"text": "\\ud800"}',
        b"[" * 100_000,
        b"1" * 5_000,
    ],
)
def test_what_is_no_document_is_passed_on_byte_for_byte(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n\n' + line + b"\r\n" + b'{"text": "b"}')
    rows = list(read_rows(path))
    assert [number for number, _ in rows] == [1, 3, 4]
    assert rows[1][1] == line


def is_line(data: bytes) -> bool:
    """Bytes that would make a compressed file are none."""
    return b"\n" not in data and bool(data.strip()) and not data.startswith(b"\x1f\x8b")


@given(st.binary(max_size=200).filter(is_line))
def test_no_line_stops_the_reading(tmp_path_factory, line):
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_bytes(line + b'\n{"text": "after"}\n')
    assert documents_after(path) == "after"


def documents_after(path):
    *_, (_, last) = read_rows(path)
    return json.loads(last)["text"]


def test_compressed_and_csv_files_read_alike(tmp_path):
    lines = '{"text": "a, b", "id": "1", "tags": ["X", "Y"]}\n'
    table = 'id,text,tags,lang\n1,"a, b",X;Y,\n'
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "a.csv").write_text("\ufeff" + table)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(table.encode()))
    wanted = {"text": "a, b", "id": "1", "tags": ["X", "Y"], "source": "file/a"}
    for path in tmp_path.iterdir():
        assert documents(path) == [wanted], path


def test_a_csv_field_may_hold_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,id\n"one\ntwo",1\nthree,2\n')
    assert [(n, json.loads(v)["text"]) for n, v in read_rows(path)] == [
        (3, "one\ntwo"),
        (4, "three"),
    ]


def test_a_csv_without_text_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("headline\nx\n")
    with pytest.raises(RowsError, match="column text"):
        list(read_rows(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RowsError, match=r"cannot read .*none.jsonl: No such file"):
        list(read_rows(tmp_path / "none.jsonl"))


def test_a_file_cut_off_gives_what_it_has_then_says_so(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    lines = "".join(f'{{"text": "{n}", "x": "{hash(n)}"}}\n' for n in range(5000))
    path.write_bytes(gzip.compress(lines.encode())[:-2000])
    seen: list[tuple[int, bytes]] = []
    with pytest.raises(RowsError, match="breaks off after line"):
        seen.extend(read_rows(path))
    assert len(seen) > 1000


def test_progress_grows_to_the_size_of_the_file(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' * 2000)
    seen: list[int] = []
    list(keyed_rows(path, progress=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == path.stat().st_size


def test_the_public_files_become_documents(data):
    for name, count in (("stocknet_tweets/2014", 41_877), ("reddit_crypto/2021-05_crash", 38_910)):
        bad = total = 0
        for _, value in read_rows(data / f"{name}.jsonl.gz"):
            total += 1
            if total % 50 == 0:
                try:
                    Document.model_validate_json(value)
                except ValueError:
                    bad += 1
        assert total == count
        assert bad <= total / 50 * 0.01
