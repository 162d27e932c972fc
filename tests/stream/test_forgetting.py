"""The worker forgets: its stored panes, and the alert that fires, show it no more."""

from __future__ import annotations

import json

import pytest

from alerts.erasure import author_digest, document_digest
from alerts.records import Alert, utc
from stream.aggregator import Aggregator, AggregatorConfig
from stream.authors import digest
from stream.evidence import identity_of
from stream.scorer import Raw, Scorer
from stream.slices import Forget, Message, decode, encode
from stream.watchlist import Entry as Watched
from stream.watchlist import Watchlist
from tests.stream.factories import CITIES, DAY0, TinyClassifier, bad_news, body, config, quiet_days
from tests.stream.test_aggregator import World

TOPIC = "watch:market"
WATCHLIST = Watchlist((Watched(id="market", match="all"),))
CONFIG: AggregatorConfig = config((TOPIC,), document_partitions=1)
BURST = DAY0 + 48 * 3600
LONG_ID = "https://forum.example/" + "x" * 100


def messages(rows: list[tuple[int, dict[str, str]]], first: int) -> list[Message]:
    """The log of documents with these times, the first of which has that offset."""
    scorer = Scorer(TinyClassifier(), WATCHLIST, b"key")
    found: list[Message] = []
    for offset, (time, fields) in enumerate(rows, start=first):
        value = body(**{"source": "wire", "published_at": utc(time).isoformat(), **fields})
        batch = scorer.score([Raw(0, offset, value, None)], None)
        found += [piece for piece in batch.slices if piece.topic == TOPIC]
        assert batch.progress is not None
        found.append(batch.progress)
    return found


def burst() -> list[Message]:
    """Two quiet days, then bad news that fires."""
    rows = [(time, {"text": text}) for time, text in quiet_days()]
    for number in range(12):
        author = "ana" if number % 3 == 0 else f"writer-{number}"
        fields = {
            "text": bad_news(number),
            "source": f"s{number}",
            "author": author,
            "id": f"doc-{number}",
        }
        rows.append((BURST + 20 * number, fields))
    rows.append((BURST + 600, {"text": "calm end"}))
    return messages(rows, 0)


def calm() -> list[Message]:
    """Another two days, in which what fires comes to its end."""
    times = range(BURST + 1200, BURST + 48 * 3600, 1200)
    rows = [(t, {"text": f"calm x{t} {CITIES[t // 1200 % 12]} z{t % 977}"}) for t in times]
    return messages(rows, 1000)


def fired() -> tuple[World, Aggregator]:
    world = World()
    aggregator = world.start(configured=CONFIG)
    handle(world, aggregator, burst())
    assert [alert.state for alert in world.alerts][-1] == "firing"
    return world, aggregator


def handle(world: World, aggregator: Aggregator, messages: list[Message]) -> list[Alert]:
    """What the messages bring about; returns the alerts of it."""
    before = len(world.alerts)
    for message in messages:
        output = aggregator.handle(decode(encode(message)))
        world.publish(output)
        world.store(output)
    return world.alerts[before:]


def stored(world: World) -> str:
    return json.dumps([world.panes, world.states])


@pytest.mark.parametrize("whom", ["document", "author"])
def test_panes_and_the_firing_alert_show_it_no_more(whom: str) -> None:
    world, aggregator = fired()
    alert = world.alerts[-1]
    ana = digest("ana", b"key")
    shown = next(story for story in alert.evidence if story.author == ana)
    gone = {story.id for story in alert.evidence if story.author == ana}
    if whom == "document":
        gone = {shown.id}
    wanted = document_digest(shown.id) if whom == "document" else author_digest(ana)
    counts = dict(world.newest())

    (again,) = handle(world, aggregator, [Forget((wanted,))])

    left = tuple(story for story in alert.evidence if story.id not in gone)
    assert again == alert.model_copy(update={"evidence": left})
    assert left
    assert not any(f'\\"{identity}\\"' in stored(world) for identity in gone)
    assert (ana in stored(world)) == (whom == "document")
    assert world.newest() == counts
    # Nothing is left to do, also after a restart.
    for one in (aggregator, world.start(configured=CONFIG)):
        output = one.handle(Forget((wanted,)))
        assert (output.panes, output.states, output.alerts) == ({}, {}, [])
    (end,) = handle(world, aggregator, calm())
    assert end.state == "resolved"
    assert not gone & {story.id for story in end.evidence}


def test_what_nobody_holds_changes_nothing() -> None:
    world, aggregator = fired()
    before = stored(world)
    assert handle(world, aggregator, [Forget((document_digest("other"), "")), Forget(())]) == []
    assert stored(world) == before


def test_evidence_of_a_long_id_has_the_beginning_of_it() -> None:
    assert identity_of("doc-1") == "doc-1"
    assert LONG_ID.startswith(identity_of(LONG_ID))
    assert len(identity_of(LONG_ID)) == 64
