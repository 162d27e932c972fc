"""Topic detail: one topic's windows against what was expected, and when it alerted."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row, TextBoxVariable
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

from deploy.grafana.panels import (
    WINDOWS,
    alerts_shown,
    bars,
    board,
    by_sentiment,
    label_variable,
    lines,
    number,
    states,
)


def series(metric: str, window: str = "") -> str:
    """One series of the topic, whichever worker shows it."""
    chosen = f',window="{window}"' if window else ""
    return f'max by (topic) ({metric}{{topic="$topic"{chosen}}})'


def topic() -> Dashboard:
    """The dashboard."""
    made = board(
        "barograph-topic",
        "Barograph: Topic detail",
        "Negative stories of one topic against what its own past leads to expect.",
        "now-24h",
    )
    made.with_variable(label_variable("topic", "Topic", "barograph_negative_ratio"))
    made.with_variable(
        TextBoxVariable("desk").label("Address of the desk").default_value("http://127.0.0.1:8080")
    )
    made.link(
        DashboardLink("The topic on the desk")
        .type(DashboardLinkType.LINK)
        .url("${desk}/topics/${topic}")
        .target_blank(True)
    )
    made.annotation(
        alerts_shown(
            "Spikes", 'ALERTS{alertname="SentimentSpike",alertstate="firing",topic="$topic"}'
        )
    )
    made.with_panel(number("Fires", series("barograph_spike_active")))
    made.with_panel(number("Is about to", series("barograph_spike_pending")))
    made.with_panel(
        number("Negative share, 1 h", series("barograph_negative_ratio", "1h"), "percentunit")
    )
    made.with_panel(number("Negative stories, 1 h", series("barograph_negative_stories", "1h")))
    made.with_panel(number("Expected, 1 h", series("barograph_expected_negative_stories", "1h")))
    made.with_panel(number("Pressure, 1 h", series("barograph_spike_surprise", "1h")))
    fires = 'max by (severity) (barograph_spike_active{topic="$topic"})'
    made.with_panel(
        states("Alerts", (fires, "{{severity}}"), (series("barograph_spike_pending"), "pending"))
    )
    made.with_row(Row("Windows against what was expected"))
    for window in WINDOWS:
        made.with_panel(
            lines(
                f"Distinct negative stories, trailing {window}",
                (series("barograph_negative_stories", window), "negative stories"),
                (series("barograph_expected_negative_stories", window), "expected"),
            )
        )
    made.with_row(Row("Share and surprise"))
    share = 'max by (window) (barograph_negative_ratio{topic="$topic"})'
    surprise = 'max by (window) (barograph_spike_surprise{topic="$topic"})'
    made.with_panel(lines("Negative share", (share, "{{window}}"), unit="percentunit"))
    made.with_panel(
        lines(
            "Pressure",
            (surprise, "{{window}}"),
            text="−log10 of the probability that the past gives to so many negative stories.",
        )
    )
    made.with_row(Row("Volume"))
    documents = 'sum by (sentiment) (topic_sentiment:barograph_documents:rate5m{topic="$topic"})'
    made.with_panel(
        by_sentiment(
            bars("Documents by sentiment", (documents, "{{sentiment}}"), unit="reqps", width=24)
        )
    )
    return made
