"""Operations: do the processes keep up, and is what they read and score what it used to be."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from deploy.grafana.panels import (
    alerts_shown,
    bars,
    board,
    buckets,
    lines,
    listing,
    number,
    with_border,
)

BY_PROCESS = "{{job}} {{instance}}"
PROCESSES = 'job=~"barograph-.*"'


def rate(metric: str, *by: str) -> str:
    """A counter's increase a second, summed by labels."""
    return f"sum by ({', '.join(by)}) (rate({metric}[$__rate_interval]))"


def gained(metric: str, *by: str) -> str:
    """A counter's increase in the time of a bar, summed by labels."""
    return f"sum by ({', '.join(by)}) (increase({metric}[$__rate_interval]))"


def quantile(share: float, histogram: str) -> str:
    """A quantile of a histogram, over all workers."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', 'le')})"


def percentiles(histogram: str) -> list[tuple[str, str]]:
    """The median, and what one in 20 and one in 100 exceeds."""
    return [(quantile(share, histogram), f"p{share * 100:.0f}") for share in (0.5, 0.95, 0.99)]


def operations() -> Dashboard:
    """The dashboard."""
    made = board(
        "barograph-operations",
        "Barograph: Operations",
        "Lag, throughput, latency, dead letters, delivery, drift and resources.",
        "now-6h",
    )
    others = 'ALERTS{alertname!="SentimentSpike",alertstate="firing"}'
    made.annotation(alerts_shown("Alerts", others, "orange"))
    _overview(made)
    _flow(made)
    _input(made)
    _feeds(made)
    _recording(made)
    _model(made)
    _resources(made)
    return made


def _overview(made: Dashboard) -> None:
    catch_up = "sum(topic:barograph_consumer_lag:sum) / on () barograph:documents_read:rate5m"
    made.with_panel(number("Processes that answer", f"sum(up{{{PROCESSES}}})"))
    made.with_panel(number("Lag, messages", "sum(topic:barograph_consumer_lag:sum)"))
    made.with_panel(number("Time to catch up", catch_up, "s"))
    made.with_panel(number("Documents a second", "barograph:documents_read:rate5m", "reqps"))
    made.with_panel(number("Arrival to score, p95", "barograph:end_to_end_seconds:p95_5m", "s"))
    dead = "sum(increase(barograph_dead_letters_total[1h]))"
    made.with_panel(number("Dead letters in an hour", dead))


def _flow(made: Dashboard) -> None:
    made.with_row(Row("Lag and throughput"))
    lag = "max by (topic, partition) (barograph_consumer_lag)"
    made.with_panel(lines("Lag by topic", ("topic:barograph_consumer_lag:sum", "{{topic}}")))
    made.with_panel(lines("Lag by partition", (lag, "{{topic}} {{partition}}")))
    made.with_panel(
        lines(
            "Documents",
            (rate("barograph_documents_read_total", "instance"), "read by {{instance}}"),
            (rate("barograph_documents_scored_total", "kind"), "scored, {{kind}}"),
            unit="reqps",
        )
    )
    made.with_panel(
        lines(
            "Watermark behind the clock",
            (
                "time() - max by (partition) (barograph_watermark_timestamp_seconds)",
                "{{partition}}",
            ),
            unit="s",
            text="How far event time, by which windows close, is behind.",
        )
    )
    made.with_row(Row("Latency and batches"))
    made.with_panel(
        lines("Arrival to score", *percentiles("barograph_end_to_end_seconds"), unit="s")
    )
    made.with_panel(
        lines("A batch, parsed and scored", *percentiles("barograph_classify_seconds"), unit="s")
    )
    made.with_panel(buckets("Batch sizes", gained("barograph_batch_size_bucket", "le")))
    messages = rate("barograph_batch_size_sum", "instance")
    mean = f"{messages} / {rate('barograph_batch_size_count', 'instance')}"
    made.with_panel(lines("Mean batch size", (mean, "{{instance}}")))


def _input(made: Dashboard) -> None:
    made.with_row(Row("Input"))
    made.with_panel(
        bars(
            "Dead letters by reason",
            (gained("barograph_dead_letters_total", "reason"), "{{reason}}"),
        )
    )
    made.with_panel(
        lines(
            "Clamped, late, repeated",
            (rate("barograph_documents_clamped_total"), "clamped"),
            (rate("barograph_documents_late_total"), "late"),
            (rate("barograph_documents_repeated_total"), "repeated"),
            unit="reqps",
        )
    )
    last = "max by (source) (barograph_source_last_document_timestamp_seconds)"
    made.with_panel(
        listing(
            "Sources",
            ("silent for", f"time() - {last}"),
            ("stale", "max by (source) (barograph_source_stale)"),
            ("surprise", "max by (source) (barograph_source_silence_surprise)"),
            key="source",
            units={"silent for": "s"},
            text="Stale: silent for longer than its own rhythm explains.",
        )
    )
    made.with_panel(
        lines(
            "Surprise at a source's silence, the 10 highest",
            ("topk(10, max by (source) (barograph_source_silence_surprise))", "{{source}}"),
        ).height(10)
    )


def _feeds(made: Dashboard) -> None:
    made.with_row(Row("Feeds"))
    age = "time() - max by (feed) (barograph_feed_last_success_timestamp_seconds)"
    made.with_panel(
        lines(
            "Documents by feed",
            (rate("barograph_feed_documents_total", "feed"), "{{feed}}"),
            unit="reqps",
            text="Acknowledged by Kafka.",
        )
    )
    made.with_panel(
        bars(
            "Failures by feed",
            (f"{gained('barograph_feed_errors_total', 'feed', 'kind')} > 0", "{{feed}} {{kind}}"),
            text="Readings that failed, and items that are no document.",
        )
    )
    made.with_panel(
        lines(
            "Since the last reading without an error",
            (age, "{{feed}}"),
            unit="s",
            text="Rises where a feed fails. One that works and has nothing new stays low.",
        ).height(10)
    )

    def in_an_hour(metric: str) -> str:
        return f"sum by (feed) (increase({metric}[1h]))"

    made.with_panel(
        listing(
            "Feeds, the last hour",
            ("last read", age),
            ("documents", in_an_hour("barograph_feed_documents_total")),
            ("known before", in_an_hour("barograph_feed_repeated_total")),
            ("failures", in_an_hour("barograph_feed_errors_total")),
            ("gone", "max by (feed) (barograph_feed_stopped)"),
            key="feed",
            units={"last read": "s"},
            text="Gone: its server said 410, and it is not asked again.",
        )
    )


def _recording(made: Dashboard) -> None:
    made.with_row(Row("Recorder and webhooks"))
    made.with_panel(
        lines("Recorder's lag", ("max by (topic) (barograph_recorder_lag)", "{{topic}}"))
    )
    made.with_panel(
        lines(
            "Records",
            (rate("barograph_recorder_records_total", "kind", "outcome"), "{{kind}} {{outcome}}"),
            ("max by (instance) (barograph_recorder_ready)", "ready, {{instance}}"),
            unit="short",
        )
    )
    made.with_panel(
        bars(
            "Webhooks by outcome",
            (gained("barograph_deliveries_total", "target", "outcome"), "{{target}} {{outcome}}"),
        )
    )
    made.with_panel(
        bars(
            "Preliminary alerts by outcome",
            (gained("barograph_preliminary_alerts_total", "outcome"), "{{outcome}}"),
        )
    )


def _model(made: Dashboard) -> None:
    made.with_row(Row("Model"))
    made.with_panel(
        with_border(
            lines(
                "Drift",
                ("max by (input) (barograph_model_drift)", "{{input}}"),
                text="Population stability index of the last day against the last weeks. None "
                "until 5,000 documents were scored.",
            ),
            0.2,
        )
    )
    made.with_panel(
        lines(
            "Workers by model",
            ("count by (name, version) (barograph_model_info)", "{{name}} {{version}}"),
            text="Two versions while the model is changed.",
        )
    )


def _resources(made: Dashboard) -> None:
    made.with_row(Row("Resources"))
    made.with_panel(
        lines("Memory", (f"process_resident_memory_bytes{{{PROCESSES}}}", BY_PROCESS), unit="bytes")
    )
    cores = f"rate(process_cpu_seconds_total{{{PROCESSES}}}[$__rate_interval])"
    made.with_panel(lines("Processor cores", (cores, BY_PROCESS)))
    made.with_panel(lines("Open files", (f"process_open_fds{{{PROCESSES}}}", BY_PROCESS)))
    age = f"time() - process_start_time_seconds{{{PROCESSES}}}"
    made.with_panel(lines("Time since the start", (age, BY_PROCESS), unit="s"))
