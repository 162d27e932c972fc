from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerts.backtest import (
    BacktestError,
    Event,
    backtest,
    read_alerts,
    read_events,
    read_windows,
)
from alerts.records import Alert, Window
from alerts.spikes import MONTH
from alerts.timeline import page
from tests.alerts.examples import alert as example

START = datetime(2024, 3, 1, tzinfo=UTC)


def fired(identity: str, hours: float, topic: str = "watch:acme", **changes) -> Alert:
    at = START + timedelta(hours=hours)
    window = example().window.model_copy(update={"start": at - timedelta(hours=1), "end": at})
    return example().model_copy(
        update={
            "id": identity,
            "topic": topic,
            "state": "firing",
            "detected_at": at,
            "window": window,
            **changes,
        }
    )


def event(hours: float, topic: str = "watch:acme") -> Event:
    return Event(topic, START + timedelta(hours=hours), "a <b> fall")


def run(alerts: list[Alert], events: list[Event], **options):
    return backtest(alerts, events, 24 * 3600, 3600, **options)


def test_an_alert_before_an_event_hits_it_and_leads() -> None:
    found = run([fired("a", 10)], [event(15)])
    assert (found.hits, found.useful, found.precision) == (1, 1, 1.0)
    assert found.matches[0].lead == 5 * 3600


@pytest.mark.parametrize(
    ("hours", "hit"), [(-24.1, False), (-24, True), (0, True), (1, True), (1.1, False)]
)
def test_it_must_come_within_the_time_given(hours: float, hit: bool) -> None:
    found = run([fired("a", 100 + hours)], [event(100)])
    assert found.hits == hit


def test_another_topic_tells_nothing() -> None:
    found = run([fired("a", 10, "watch:bolt")], [event(12)])
    assert (found.hits, found.precision) == (0, 0.0)


def test_two_alerts_hit_one_event_once_and_one_alert_hits_two_events() -> None:
    found = run([fired("a", 10), fired("b", 11)], [event(12)])
    assert (found.hits, found.useful, len(found.alerts)) == (1, 2, 2)
    assert found.matches[0].alert.id == "a"
    found = run([fired("a", 10)], [event(12), event(13)])
    assert (found.hits, found.useful) == (2, 1)


def test_an_alert_counts_as_it_fired_first() -> None:
    worse = fired("a", 12, severity="critical", detected_at=START + timedelta(hours=10))
    over = fired("a", 14, state="resolved")
    found = run([over, worse, fired("a", 10)], [event(12)])
    assert [a.severity for a in found.alerts] == ["warning"]
    assert found.matches[0].lead == 2 * 3600


def test_rates_are_per_topic_and_month_of_the_watch() -> None:
    span = (START, START + timedelta(seconds=2 * MONTH))
    found = run([fired("a", 10), fired("b", 500)], [event(12)], topics=["watch:other"], span=span)
    assert found.topic_months == pytest.approx(4)
    summary = found.summary()
    assert summary["alerts_per_topic_month"] == 0.5
    assert summary["other_alerts_per_topic_month"] == 0.25
    assert summary["median_lead_hours"] == 2.0


def test_without_alerts_all_is_missed() -> None:
    summary = run([], [event(1)]).summary()
    assert (summary["misses"], summary["precision"], summary["alerts_per_topic_month"]) == (
        1,
        None,
        None,
    )
    with pytest.raises(BacktestError, match="neither"):
        run([], [])


def test_the_page_shows_windows_alerts_and_events() -> None:
    window = Window(
        topic="watch:acme",
        start=START,
        end=START + timedelta(hours=1),
        documents=9,
        stories=8,
        sources=3,
        negative=5,
        neutral=2,
        positive=2,
        negative_stories=5,
        mean_sentiment=-0.2,
        expected_negative_stories=1.5,
        revision=9,
        final=True,
    )
    found = run([fired("a", 10), fired("b", 20, "watch:<script>")], [event(12)])
    text = page(found, [window])
    assert text.count('class="bar"') == 1
    assert text.count('class="alert"') == 2
    assert text.count('class="event"') == 1
    assert "a &lt;b&gt; fall" in text
    assert "<script>" not in text
    assert "http" not in text


# Files


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "alerts.jsonl").write_text(fired("a", 1).model_dump_json() + "\n\n")
    assert read_alerts(tmp_path / "alerts.jsonl") == [fired("a", 1)]
    (tmp_path / "events.csv").write_text("topic,time,label\nwatch:acme,2024-03-02,fall\n")
    (tmp_path / "events.jsonl").write_text('{"topic": "watch:acme", "time": "2024-03-02T00:00Z"}\n')
    time = datetime(2024, 3, 2, tzinfo=UTC)
    assert read_events(tmp_path / "events.csv") == [Event("watch:acme", time, "fall")]
    assert read_events(tmp_path / "events.jsonl") == [Event("watch:acme", time)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "{", "line 1: not JSON"),
        ("a.jsonl", "[]", "not a JSON object"),
        ("a.jsonl", '{"topic": "watch:a"}', "needs a topic and a time"),
        ("a.csv", "topic,time\nwatch:a,soon\n", "line 2: 'soon' is no time"),
    ],
)
def test_a_wrong_event_is_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BacktestError, match=message):
        read_events(tmp_path / name)


def test_a_wrong_alert_or_window_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    with pytest.raises(BacktestError, match="line 1: no alert: id"):
        read_alerts(path)
    with pytest.raises(BacktestError, match="line 1: no window: topic"):
        read_windows(path)
    with pytest.raises(BacktestError, match="cannot read"):
        read_events(tmp_path / "none.csv")
