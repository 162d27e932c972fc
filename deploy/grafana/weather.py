"""Market weather: which topics are under pressure now, and how the day has been."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana.panels import (
    alerts_shown,
    bars,
    board,
    by_sentiment,
    lines,
    listing,
    mosaic,
    number,
    ranking,
    topic_link,
    window_variable,
)

# "max by" throughout: while a partition moves, two workers may show a topic.
SURPRISE = 'max by (topic) (barograph_spike_surprise{window="$window"})'
RATIO = 'max by (topic) (barograph_negative_ratio{window="$window"})'
STORIES = 'max by (topic) (barograph_negative_stories{window="$window"})'
EXPECTED = 'max by (topic) (barograph_expected_negative_stories{window="$window"})'
# Each document has one class topic; it may have several of the watchlist, or none.
CLASS = 'topic=~"class:.*"'
SENTIMENTS = f"sum by (sentiment) (topic_sentiment:barograph_documents:rate5m{{{CLASS}}})"


def weather() -> Dashboard:
    """The dashboard."""
    made = board(
        "barograph-weather",
        "Barograph: Market weather",
        "Pressure, negative share and volume of every monitored topic.",
        "now-24h",
    ).with_variable(window_variable())
    made.annotation(
        alerts_shown("Spikes", 'ALERTS{alertname="SentimentSpike",alertstate="firing"}')
    )
    firing = "count(max by (topic) (barograph_spike_active) == 1) or vector(0)"
    pending = "count(max by (topic) (barograph_spike_pending) == 1) or vector(0)"
    stale = "count(max by (source) (barograph_source_stale) == 1) or vector(0)"
    negative = f'sum(topic_sentiment:barograph_documents:rate5m{{{CLASS},sentiment="negative"}})'
    share = f"{negative} / sum(topic_sentiment:barograph_documents:rate5m{{{CLASS}}})"
    made.with_panel(number("Topics that spike", firing))
    made.with_panel(
        number("Topics about to", pending, text="A test passed; stories, sources or time lack")
    )
    made.with_panel(number("Silent sources", stale))
    made.with_panel(number("Documents a second", "barograph:documents_read:rate5m", "reqps"))
    made.with_panel(number("Negative, of all documents", share, "percentunit"))
    made.with_panel(number("Topics", f"count({RATIO})"))
    made.with_row(Row("Pressure"))
    made.with_panel(
        ranking(
            "Pressure by topic, now",
            (f"sort_desc(topk(15, {SURPRISE}))", "{{topic}}"),
            text="−log10 of the probability that the topic's past gives to so many negative "
            "stories: at 3 it is one in a thousand.",
        )
    )
    made.with_panel(
        topic_link(
            listing(
                "Top spikes",
                ("pressure", f"topk(20, {SURPRISE})"),
                ("negative stories", f"{STORIES} and topk(20, {SURPRISE})"),
                ("expected", f"{EXPECTED} and topk(20, {SURPRISE})"),
                ("negative share", f"{RATIO} and topk(20, {SURPRISE})"),
                ("fires", f"max by (topic) (barograph_spike_active) and topk(20, {SURPRISE})"),
                key="topic",
                units={"negative share": "percentunit"},
            )
        )
    )
    made.with_panel(
        lines(
            "Pressure over time, the 10 highest", (f"topk(10, {SURPRISE})", "{{topic}}"), width=24
        )
    )
    made.with_row(Row("Heat map"))
    made.with_panel(mosaic("Negative share by topic", (f"sort({RATIO})", "{{topic}}")))
    made.with_row(Row("Volume"))
    made.with_panel(
        by_sentiment(bars("Documents by sentiment", (SENTIMENTS, "{{sentiment}}"), unit="reqps"))
    )
    volume = "topk(10, sum by (topic) (topic_sentiment:barograph_documents:rate5m))"
    made.with_panel(
        lines("Documents by topic, the 10 busiest", (volume, "{{topic}}"), unit="reqps")
    )
    return made
