"""The command ``barograph``. Exit status: 0 done, 1 failed, 2 wrong usage or settings."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from pydantic import BaseModel

from stream import (
    audit_commands,
    database_commands,
    delivery_commands,
    failures,
    feed_commands,
    feedback_commands,
    forget_commands,
    letter_commands,
    token_commands,
    topic_commands,
    watchlist_commands,
)
from stream.commands import Bootstrap, Config, Failure, settings_of
from stream.settings import Settings, SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Barograph watches what is written about markets and tells when a mood turns.",
    epilog="Start with: barograph up --demo",
)
app.add_typer(topic_commands.app, name="topics")
app.add_typer(letter_commands.app, name="dead-letters")
app.add_typer(watchlist_commands.app, name="watchlist")
app.add_typer(database_commands.app, name="db")
app.add_typer(token_commands.app, name="tokens")
app.add_typer(feedback_commands.app, name="feedback")
app.add_typer(feed_commands.app, name="feed")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(delivery_commands.app, name="deliveries")
app.command("forget", epilog=forget_commands.EXAMPLES)(forget_commands.forget)

Input = Annotated[Path, typer.Argument(help="JSON lines or CSV, also .gz; - is standard input.")]


class Backend(StrEnum):
    """What runs a model."""

    ONNX = "onnx"
    TORCH = "torch"


def _audited(settings: Settings) -> dict[str, BaseModel]:
    """The settings whose changes are audited: what fires, who hears of it, and what is kept."""
    return {
        "detector": settings.detector,
        "delivery": settings.delivery,
        "retention": settings.retention.tables,
    }


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    yield stop


@app.command(
    epilog="Examples: barograph up --demo   |   barograph up --feeds feeds.yaml -b kafka:9092"
)
def up(
    demo: Annotated[bool, typer.Option("--demo", help="Play the demonstration stream.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="With --demo: end when the alert has been delivered.")
    ] = False,
    feeds: Annotated[
        Path | None, typer.Option(help="A feeds file to read.", show_default=False)
    ] = None,
    bootstrap: Bootstrap = None,
    config: Config = None,
) -> None:
    """Run all on this machine: broker (unless --bootstrap), worker, recorder, desk, feeds."""
    from stream.up import up as run

    if once and not demo:
        raise SettingsError("--once needs --demo: without it no alert is known to come")
    # A SIGTERM must stop the children too, so it takes the way of Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(
            config,
            bootstrap,
            demo=demo,
            once=once,
            feeds=feeds,
            say=lambda line: print(line, flush=True),
        )
    except KeyboardInterrupt:
        print("\nStopped.")


@app.command()
def worker(config: Config = None, bootstrap: Bootstrap = None) -> None:
    """Score documents, sum them over windows, and raise alerts."""
    from stream.worker import run

    run(settings_of(config, bootstrap))


@app.command()
def recorder(config: Config = None, bootstrap: Bootstrap = None) -> None:
    """Copy windows and alerts from Kafka to SQL, and deliver alerts in direct mode."""
    from prometheus_client import REGISTRY

    from alerts.audit import prepare
    from alerts.pruning import Pruner
    from alerts.recorder import Recorder
    from alerts.store import open_engine
    from stream.health import HealthServer
    from stream.security import client_options

    settings = settings_of(config, bootstrap)
    kafka = settings.kafka
    engine = open_engine(settings.database_url)
    pruner = Pruner(engine, settings.retention.tables)

    def prepared(engine: Engine) -> None:
        prepare(engine, "recorder", _audited(settings), _now())
        pruner.start()

    recording = Recorder(
        bootstrap=kafka.bootstrap,
        windows=kafka.topics.windows,
        alerts=kafka.topics.alerts,
        engine=engine,
        group=f"{kafka.app_id}-recorder",
        delivery=settings.delivery,
        consumer_options=client_options(kafka.security),
        prepare=prepared,
    )
    health = HealthServer(
        settings.http.host,
        settings.http.recorder_port,
        REGISTRY,
        lambda: {"recorder": recording.ready()},
    )
    with _stopping() as stop:
        try:
            recording.run(stop)
        finally:
            pruner.stop()
            health.stop()
            engine.dispose()


@app.command()
def desk(config: Config = None) -> None:
    """Serve the page, the API, and the relay for Alertmanager."""
    import uvicorn

    from alerts.audit import prepare
    from alerts.desk import create_app
    from alerts.desk.access import is_loopback
    from alerts.store import open_engine, reachable
    from alerts.tokens import any_live
    from stream.push import Push

    settings = settings_of(config)
    engine = open_engine(settings.database_url)
    prepare(engine, "desk", _audited(settings), _now())
    local = is_loopback(settings.http.host)
    if not local and not any_live(engine):
        raise SettingsError(
            f"http.host is {settings.http.host}, which other machines reach, and no token exists: "
            "first barograph tokens create NAME --role admin"
        )
    # Uvicorn stops at a signal and then sends it to itself once more, which must not be the end.
    with closing(Push(settings.kafka)) as push, _stopping():
        application = create_app(
            engine, settings.delivery, lambda: reachable(engine), local=local, publish=push
        )
        uvicorn.run(
            application,
            host=settings.http.host,
            port=settings.http.desk_port,
            log_level="warning",
            # An open page listens for events without end.
            timeout_graceful_shutdown=2,
        )


@app.command(epilog="Example: barograph send posts.jsonl.gz --source forum")
def send(
    file: Input,
    source: Annotated[str | None, typer.Option(help="Source of rows that name none.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send so many rows.")] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Send documents from a file to Kafka."""
    from stream.send import send as run

    report = run(file, settings_of(config, bootstrap), limit=limit, source=source)
    print(f"{report.sent} sent in {report.seconds:.1f} s, {report.skipped} skipped")
    if report.skipped:
        raise Failure(f"too large for Kafka, not sent: lines {report.skipped_lines}")


@app.command(
    epilog='Examples: barograph classify "Shares plunge after profit warning"   |   '
    "barograph classify --input posts.csv --output scored.jsonl"
)
def classify(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to score.")] = None,
    input: Annotated[Path | None, typer.Option(help="Rows with a text each.")] = None,
    output: Annotated[Path | None, typer.Option(help="JSON lines; default: printed.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Sentiment towards this name; a row's target wins.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model folder.")] = None,
    backend: Annotated[
        Backend,
        typer.Option(help="torch: on a GPU too; also a run's folder or a hub name."),
    ] = Backend.ONNX,
) -> None:
    """Score texts: a row out is the row in, with sentiment, topic and language."""
    from stream.classify import classify as run

    if bool(texts) == bool(input):
        raise SettingsError("give either texts or --input FILE")
    run(texts or [], input, output, model, backend.value, target)


def _model_command(name: str, module: str, text: str, needs: str) -> None:
    """A command of the model's life: its options are those of the module, which has its own help.

    ``model`` knows no web or Kafka library and no typer, so that it works on a bare machine.
    """

    @app.command(
        name,
        help=text,
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
    )
    def run(context: typer.Context) -> None:
        try:
            main_of = importlib.import_module(module).main
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] in ("model", "stream", "alerts"):
                raise
            raise Failure(
                f"barograph {name} needs {needs}, and {error.name} is not installed: "
                "make .venv-train/.train, then .venv-train/bin/barograph"
            ) from None
        main_of(context.args)


_model_command("train", "model.train", "Fine-tune the classifier.", "torch")
_model_command("tune", "model.tune", "Search for the settings of a training.", "torch and optuna")
_model_command("export", "model.export", "Turn a trained network into what serves.", "torch")
_model_command("evaluate", "model.evaluate", "Measure a model on labelled texts.", "scikit-learn")
_model_command(
    "compare", "model.compare", "Is a challenger better than the champion?", "scikit-learn"
)


@app.command(epilog="Example: barograph replay 2021-05.jsonl.gz --alerts alerts.jsonl")
def replay(
    file: Input,
    watchlist: Annotated[Path | None, typer.Option(help="Watchlist YAML.")] = None,
    scored: Annotated[Path | None, typer.Option(help="Write scored documents here.")] = None,
    windows: Annotated[Path | None, typer.Option(help="Write windows here.")] = None,
    alerts: Annotated[Path | None, typer.Option(help="Write alert transitions here.")] = None,
    config: Config = None,
) -> None:
    """Run a file through the worker's own code, without Kafka, in event time."""
    from stream.replaying import replay_file

    settings = settings_of(config, watchlist=watchlist)
    result = replay_file(file, settings, scored, windows, alerts)
    for alert in result.alerts:
        print(f"{alert.window.end:%Y-%m-%d %H:%M}  {alert.state}  {alert.severity}  ", end="")
        print(alert.summary)
    print(
        f"{result.documents} documents, {len(result.dead)} dead letters, {result.late} late, "
        f"{len(result.windows)} windows, {len(result.alerts)} alert transitions"
    )


@app.command(
    epilog="Example: barograph replay 2021.jsonl.gz --alerts alerts.jsonl --windows windows.jsonl "
    "&& barograph backtest alerts.jsonl events.csv --windows windows.jsonl --html backtest.html"
)
def backtest(
    alerts: Annotated[Path, typer.Argument(help="Transitions, as replay --alerts writes them.")],
    events: Annotated[Path, typer.Argument(help="JSONL or CSV with topic, time, and a label.")],
    before: Annotated[
        float, typer.Option(min=0, help="Hours before an event in which an alert tells of it.")
    ] = 24.0,
    after: Annotated[float, typer.Option(min=0, help="Hours after it.")] = 24.0,
    windows: Annotated[
        Path | None, typer.Option(help="Windows of the same replay: its span, and the picture.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with timelines here.")] = None,
    output: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Hits, lead time and precision of alerts against events that are known."""
    from stream.backtesting import backtest_files

    backtest_files(alerts, events, before, after, windows, html, output)


def main() -> None:
    """Run the command line; an error that a user can mend is one line, not a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            # The usual tracebacks of a terminal show the values of variables: texts and handles.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        app()
    except Exception as error:
        status = failures.exit_status(error)
        if status is None:
            raise
        print(f"barograph: {failures.line(error)}", file=sys.stderr)
        sys.exit(status)


if __name__ == "__main__":
    main()
