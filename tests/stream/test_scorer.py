from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.records import utc
from stream.scorer import FAULTS, MAX_AHEAD, MAX_BYTES, BadDocument, Raw, Scorer, parse
from stream.watchlist import Entry, Watchlist
from tests.stream.factories import DAY0, TinyClassifier, body, raw

WATCHLIST = Watchlist((Entry(id="acme", names=("Acme",)), Entry(id="market", match="all")))


def scorer() -> Scorer:
    return Scorer(TinyClassifier(), WATCHLIST, b"key")


def at(seconds: int) -> str:
    return utc(seconds).isoformat()


BAD = {
    "nothing": (None, "empty"),
    "no bytes": (b"", "empty"),
    "truncated": (body()[:-5], "json"),
    "not JSON": (b"hello", "json"),
    "two documents": (body() + body(), "json"),
    "deep": (b'{"text": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "json"),
    "an array": (b'[{"text": "a", "source": "b"}]', "json"),
    "a string": (b'"text"', "json"),
    "null": (b"null", "json"),
    "a huge number": (b"1" * 5_000, "json"),
    "not UTF-8": (b'{"text": "\xff", "source": "b"}', "encoding"),
    "UTF-16": ('{"text": "a", "source": "b"}'.encode("utf-16"), "encoding"),
    "a lone surrogate": (b'{"text": "a \\ud83d", "source": "b"}', "encoding"),
    "a lone surrogate in the source": (b'{"text": "a", "source": "\\udc00"}', "encoding"),
    "a lone surrogate in the id": (b'{"text": "a", "source": "b", "id": "\\udc00"}', "encoding"),
    "a lone surrogate as author": (b'{"text":"a","source":"b","author":"\\udc00"}', "encoding"),
    "large": (body(text="x" * MAX_BYTES), "too-large"),
    "no text": (b'{"source": "b"}', "schema"),
    "no source": (b'{"text": "a"}', "schema"),
    "an empty object": (b"{}", "schema"),
    "an empty text": (body(text=""), "schema"),
    "white text": (body(text=" \n\t "), "schema"),
    "a text of null bytes": (body(text="\x00\x00"), "schema"),
    "a long text": (body(text="x" * 20_001), "schema"),
    "a number for a text": (body(text=5), "schema"),
    "a list for a text": (body(text=["a"]), "schema"),
    "NaN for a text": (b'{"text": NaN, "source": "b"}', "schema"),
    "NaN for a time": (b'{"text": "a", "source": "b", "published_at": NaN}', "schema"),
    "infinity for a time": (b'{"text":"a","source":"b","published_at":Infinity}', "schema"),
    "an unknown kind": (body(kind="rumour"), "schema"),
    "a language that is none": (body(lang="not a language"), "schema"),
    "too many tags": (body(tags=["t"] * 101), "schema"),
    "tags that are a text": (body(tags="AAPL"), "schema"),
    "a time without zone": (body(published_at="2024-10-09T00:00:00"), "schema"),
    "a date that is none": (body(published_at="yesterday"), "schema"),
    "the year 9999": (body(published_at="9999-12-31T23:59:59Z"), "schema"),
    "the end of time in the west": (body(published_at="9999-12-31T23:59:59-12:00"), "schema"),
    "the beginning of time in the east": (body(published_at="0001-01-01T00:00:00+12:00"), "schema"),
    "the year 1969": (body(published_at="1969-12-31T23:59:59Z"), "schema"),
    "the year 2200": (body(published_at="2200-01-01T00:00:00Z"), "schema"),
}


@pytest.mark.parametrize(("value", "code"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_a_dead_letter_with_its_code(value, code):
    batch = scorer().score([raw(value, 7)], DAY0)
    assert batch.scored == []
    assert batch.slices == []
    assert batch.progress is None
    (letter,) = batch.dead
    assert (letter.code, letter.raw) == (code, raw(value, 7))
    assert code in FAULTS
    assert letter.reason
    assert "\n" not in letter.reason
    assert len(letter.reason) < 500


def test_one_bad_message_stops_no_batch():
    """Bad ones of every kind, good ones between them."""
    raws, good = [], []
    for number, (value, _) in enumerate(BAD.values()):
        raws.append(raw(value, 2 * number))
        raws.append(raw(body(id=f"good-{number}", text=f"good news {number}"), 2 * number + 1))
        good.append((2 * number + 1, f"good-{number}"))
    made = scorer()
    batch = made.score(raws, DAY0)
    assert [letter.raw.offset for letter in batch.dead] == list(range(0, 2 * len(BAD), 2))
    assert [(r.offset, document.id) for r, document in batch.scored] == good
    assert made.classifier.texts == [f"good news {number}" for number in range(len(BAD))]
    for found in batch.slices:
        assert [e.offset for e in found.entries] == [offset for offset, _ in good]
        assert {e.label for e in found.entries} == {2}


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(value):
    batch = scorer().score([raw(value)], DAY0)
    assert len(batch.scored) + len(batch.dead) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ["text", "source", "id", "title", "published_at", "kind", "url", "lang", "author", "tags"]


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_no_json_does_harm(data):
    batch = scorer().score([raw(json.dumps({"text": "a", "source": "b", **data}).encode())], DAY0)
    assert len(batch.scored) + len(batch.dead) == 1
    for _, document in batch.scored:
        assert json.loads(document.to_json())


def test_an_empty_batch():
    batch = scorer().score([], DAY0)
    assert (batch.scored, batch.slices, batch.dead, batch.progress) == ([], [], [], None)


# What is kept, and how


def test_null_bytes_are_dropped_and_the_rest_is_kept():
    document = parse(body(text="Shares\x00 fall", source="w\x00ire", title="\x00T"))
    assert (document.text, document.source, document.title) == ("Shares fall", "wire", "T")


def test_the_longest_text_is_taken():
    assert len(parse(body(text="x" * 20_000)).text) == 20_000
    assert len(parse(body(text="跌" * 20_000)).text) == 20_000


def test_unknown_keys_are_ignored():
    assert parse(body(colour="red", sentiment="negative")).text == "Some text"


def test_an_escaped_pair_of_surrogates_is_a_character():
    assert parse(b'{"text": "\\ud83d\\udcc9", "source": "b"}').text == "\U0001f4c9"


def test_too_large_is_not_even_parsed():
    with pytest.raises(BadDocument) as caught:
        parse(b"[" * (MAX_BYTES + 1))
    assert caught.value.code == "too-large"


def test_ids_given_twice_are_two_documents():
    batch = scorer().score([raw(body(id="x"), 0), raw(body(id="x"), 1)], DAY0)
    assert [document.id for _, document in batch.scored] == ["x", "x"]
    assert [len(found.entries) for found in batch.slices] == [2, 2]


def test_an_id_is_derived_where_none_is_given():
    same = [parse(body(text="a")).id, parse(body(text="a")).id, parse(body(text="a", id="")).id]
    assert len(set(same)) == 1
    other = [
        parse(body(text="b")).id,
        parse(body(text="a", source="other")).id,
        parse(body(text="a", published_at=at(DAY0))).id,
        parse(body(text="a", url="https://a.example")).id,
    ]
    assert len({*same, *other}) == 5
    assert (
        parse(body(url="https://a.example")).id
        == parse(body(url="https://a.example", text="edited")).id
    )


def test_the_classifier_reads_the_title_too():
    made = scorer()
    made.score([raw(body(title="Acme falls", text="Much"))], DAY0)
    assert made.classifier.texts == ["Acme falls. Much"]


def test_a_document_carries_its_scores():
    value = body(text="Bad day for Acme", published_at=at(DAY0 - 60), lang="de", kind="news")
    ((_, found),) = scorer().score([raw(value)], DAY0 + 1).scored
    assert found.sentiment.label == "negative"
    assert (found.topic.label, found.lang, found.kind) == ("Macro", "de", "news")
    assert [m.topic for m in found.monitored] == ["class:macro", "watch:acme", "watch:market"]
    assert found.event_time == utc(DAY0 - 60)
    assert found.ingested_at == utc(DAY0)
    assert found.scored_at == utc(DAY0 + 1)
    assert found.model.name == "tiny"


PAIR = Watchlist((Entry(id="acme", names=("Acme",)), Entry(id="bond", names=("Bond Co",))))


def monitored(text: str, takes_targets: bool = True) -> tuple[dict[str, str], list[str]]:
    """Sentiment by monitored topic, and the targets that were asked for."""
    classifier = TinyClassifier(takes_targets)
    batch = Scorer(classifier, PAIR, b"key").score([raw(body(text=text))], DAY0)
    ((_, found),) = batch.scored
    labels = {m.topic: m.sentiment.label for m in found.monitored}
    counted = {
        s.topic: ("negative", "neutral", "positive")[s.entries[0].label] for s in batch.slices
    }
    assert labels == counted
    return labels, classifier.targets


def test_each_of_several_watched_entries_counts_the_sentiment_towards_it():
    labels, targets = monitored("A bad day for Acme, a good one for Bond Co")
    assert labels == {
        "class:macro": "negative",
        "watch:acme": "negative",
        "watch:bond": "positive",
    }
    assert targets == ["Acme", "Bond Co"]


def test_one_watched_entry_counts_what_the_document_says():
    labels, targets = monitored("good for all, bad for Acme")
    assert labels == {"class:macro": "negative", "watch:acme": "negative"}
    assert targets == []


def test_a_model_that_knows_no_targets_is_not_asked():
    labels, targets = monitored("A bad day for Acme, a good one for Bond Co", takes_targets=False)
    assert set(labels.values()) == {"negative"}
    assert targets == []


def test_targets_of_one_document_are_not_those_of_another():
    batch = Scorer(TinyClassifier(), PAIR, b"key").score(
        [
            raw(body(text="bad for Acme, good for Bond Co"), 0),
            raw(body(text="good for Acme, bad for Bond Co"), 1),
        ],
        DAY0,
    )
    found = {s.topic: [e.label for e in s.entries] for s in batch.slices}
    assert (found["watch:acme"], found["watch:bond"]) == ([0, 2], [2, 0])


def test_only_what_is_negative_carries_evidence():
    batch = scorer().score([raw(body(text="bad"), 0), raw(body(text="good"), 1)], DAY0)
    bad, good = batch.slices[0].entries
    assert (bad.label, bad.sentiment, good.label, good.sentiment) == (0, -8800, 2, 8800)
    assert bad.evidence is not None
    assert bad.evidence["text"] == "bad"
    assert good.evidence is None


@pytest.mark.parametrize(
    ("negative_from", "told"), [(0.3, [True, True]), (0.5, [False, True]), (0.95, [False, False])]
)
def test_what_tells_a_negative_story_is_set_by_its_probability(negative_from, told):
    made = Scorer(TinyClassifier(), WATCHLIST, b"key", negative_from=negative_from)
    batch = made.score([raw(body(text="perhaps bad"), 0), raw(body(text="bad"), 1)], DAY0)
    entries = batch.slices[0].entries
    assert [entry.label for entry in entries] == [1, 0]
    assert [entry.tells_negative for entry in entries] == told
    assert [entry.evidence is not None for entry in entries] == told
    assert batch.progress is not None
    assert [read.negative > 0 for read in batch.progress.read] == told


def test_progress_tells_how_far_each_partition_came():
    raws = [
        Raw(0, 1, body(published_at=at(DAY0 - 7200)), DAY0),
        Raw(0, 2, body(published_at=at(DAY0 - 7300)), DAY0),
        Raw(3, 9, body(published_at=at(DAY0)), DAY0),
        Raw(4, 9, b"bad", DAY0),
    ]
    progress = scorer().score(raws, DAY0 + 5).progress
    assert progress is not None
    assert progress.marks == {0: (DAY0 - 7200, DAY0 + 5), 3: (DAY0, DAY0 + 5)}
    hour = DAY0 // 3600
    assert progress.hours == {hour - 3, hour - 2, hour}


# Authors


def test_an_author_is_a_keyed_hash_everywhere():
    handle = "secret_trader_99"
    batch = scorer().score([raw(body(text="bad", author=handle))], DAY0)
    ((_, found),) = batch.scored
    assert found.author is not None
    assert found.author != handle
    assert handle not in found.to_json().decode()
    assert handle not in repr(batch.slices)
    other = Scorer(TinyClassifier(), WATCHLIST, b"other key")
    ((_, keyed),) = other.score([raw(body(text="bad", author=handle))], DAY0).scored
    assert keyed.author != found.author
    ((_, again),) = scorer().score([raw(body(text="good", author=handle))], DAY0).scored
    assert again.author == found.author


def test_authors_count_as_sources_and_without_one_the_source_does():
    values = [
        body(author="a", source="x"),
        body(author="a", source="y"),
        body(author="b", source="x"),
        body(source="x"),
        body(source="y"),
    ]
    batch = scorer().score([raw(value, n) for n, value in enumerate(values)], DAY0)
    sources = [e.source for e in batch.slices[0].entries]
    assert sources[0] == sources[1]
    assert len(set(sources)) == 4


# Times


@pytest.mark.parametrize(
    ("published", "event", "clamped"),
    [
        (None, DAY0, 1),
        (DAY0 - 86_400, DAY0 - 86_400, 0),
        (DAY0, DAY0, 0),
        (DAY0 + MAX_AHEAD, DAY0 + MAX_AHEAD, 0),
        (DAY0 + MAX_AHEAD + 1, DAY0, 1),
        (DAY0 + 10**9, DAY0, 1),
    ],
)
def test_no_clock_ahead_of_arrival_is_believed(published, event, clamped):
    value = body() if published is None else body(published_at=at(published))
    batch = scorer().score([raw(value)], DAY0 + 1)
    ((_, found),) = batch.scored
    assert found.event_time == utc(event)
    assert batch.clamped == clamped
    assert {e.time for s in batch.slices for e in s.entries} == {event}


def test_in_replay_a_missing_time_is_the_newest_so_far():
    values = [
        body(),
        body(published_at=at(DAY0 + 100)),
        body(published_at=at(DAY0)),
        body(),
    ]
    batch = scorer().score([raw(v, n, None) for n, v in enumerate(values)], None)
    assert [(letter.raw.offset, letter.code) for letter in batch.dead] == [(0, "schema")]
    times = [document.event_time for _, document in batch.scored]
    assert times == [utc(DAY0 + 100), utc(DAY0), utc(DAY0 + 100)]
    assert batch.clamped == 1


def test_replay_reads_no_clock():
    ((_, found),) = scorer().score([raw(body(published_at=at(DAY0)), 0, None)], None).scored
    assert found.ingested_at == found.scored_at == found.event_time == utc(DAY0)


def test_any_zone_is_told_in_utc():
    document = parse(body(published_at="2024-10-04T02:00:00+02:00"))
    assert document.published_at == utc(DAY0)
