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
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from pydantic import BaseModel

from stream import (
    audit_commands,
    delivery_commands,
    feed_commands,
    feedback_commands,
    forget_commands,
    token_commands,
)
from stream.commands import Config, Failure, counted, database
from stream.settings import Settings, SettingsError, load

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
topics_app = typer.Typer(no_args_is_help=True, help="The Kafka topics.")
letters_app = typer.Typer(no_args_is_help=True, help="Messages that were no documents.")
watchlist_app = typer.Typer(no_args_is_help=True, help="What is watched.")
db_app = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(topics_app, name="topics")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(watchlist_app, name="watchlist")
app.add_typer(db_app, name="db")
app.add_typer(token_commands.app, name="tokens")
app.add_typer(feedback_commands.app, name="feedback")
app.add_typer(feed_commands.app, name="feed")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(delivery_commands.app, name="deliveries")
app.command("forget", epilog=forget_commands.EXAMPLES)(forget_commands.forget)

Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", "-b", help="Kafka, host:port.", show_default=False),
]
Input = Annotated[Path, typer.Argument(help="JSON lines or CSV, also .gz; - is standard input.")]


class Backend(StrEnum):
    """What runs a model."""

    ONNX = "onnx"
    TORCH = "torch"


def _settings(config: Path | None, bootstrap: str | None = None, **options: Any) -> Settings:
    if bootstrap is not None:
        options["kafka"] = {"bootstrap": bootstrap}
    return load(config, **{key: value for key, value in options.items() if value is not None})


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

    run(_settings(config, bootstrap))


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

    settings = _settings(config, bootstrap)
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

    settings = _settings(config)
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

    report = run(file, _settings(config, bootstrap), limit=limit, source=source)
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
        Backend, typer.Option(help="torch: the folder of a run, or a hub name.")
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

    settings = _settings(config, watchlist=watchlist)
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


@topics_app.command("create")
def topics_create(config: Config = None, bootstrap: Bootstrap = None) -> None:
    """Make the topics that are missing, and give all of them the retention of the settings."""
    from stream.topics import adjust, create

    settings = _settings(config, bootstrap)
    done = [f"made {name}" for name in create(settings)]
    done += [f"changed {change}" for change in adjust(settings)]
    print("\n".join(done) or "all topics are there")


@topics_app.command("describe")
def topics_describe(config: Config = None, bootstrap: Bootstrap = None) -> None:
    """List the topics as they are."""
    from stream.topics import describe

    for row in describe(_settings(config, bootstrap)):
        if row.exists:
            print(
                f"{row.name:28} {row.partitions:4} partitions  x{row.replication_factor}  "
                f"{row.retention_hours} h"
            )
        else:
            print(f"{row.name:28} missing: barograph topics create")


@watchlist_app.command("check")
def watchlist_check(file: Annotated[Path, typer.Argument(help="Watchlist YAML.")]) -> None:
    """Say what in a watchlist is wrong, or probably not meant."""
    from stream.watchlist import collisions, load

    watchlist = load(file)
    found = collisions(watchlist)
    entries = counted(len(watchlist.entries), "entry", "entries")
    print("\n".join([*found, f"{entries}, {counted(len(found), 'remark')}"]))


@letters_app.command("list")
def letters_list(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """List dead letters with their reasons."""
    from stream.dead_letters import list_dead_letters

    for letter in list_dead_letters(_settings(config, bootstrap), limit):
        start = letter.value[:60].decode("utf-8", "replace")
        origin = f"{letter.topic}/{letter.partition}@{letter.offset}"
        print(f"{letter.number:8}  {letter.time:%F %T}  {origin}  {letter.reason}  {start!r}")


@letters_app.command("replay")
def letters_replay(
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    number: Annotated[list[int] | None, typer.Option(help="This one; may be repeated.")] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Send dead letters back to where they came from."""
    from stream.dead_letters import replay_dead_letters

    count = replay_dead_letters(_settings(config, bootstrap), limit, number or None)
    print(f"{count} sent back")


@db_app.command("upgrade")
def db_upgrade(config: Config = None) -> None:
    """Bring the database to this version."""
    from alerts.schema import upgrade

    settings = _settings(config)
    upgrade(settings.database_url)
    print("the database is up to date")


@db_app.command("prune", epilog="Example: barograph db prune --dry-run")
def db_prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    config: Config = None,
) -> None:
    """Delete what is older than retention.tables says, as the recorder does every hour."""
    from alerts.pruning import prune

    settings = _settings(config)
    with database(settings) as engine:
        gone = prune(engine, settings.retention.tables, _now(), dry_run=dry_run)
    verb = "would go" if dry_run else "deleted"
    print("\n".join(f"{name:12} {rows:8} rows {verb}" for name, rows in gone.items()))


def _failures() -> tuple[type[Exception], ...]:
    """What a command may raise for the user to read; imported when something was raised."""
    from sqlalchemy.exc import OperationalError

    from alerts.backtest import BacktestError
    from alerts.schema import SchemaError
    from alerts.tokens import TokenError
    from model.classifier import ModelError
    from stream.broker import BrokerError
    from stream.clients import BrokerUnreachable
    from stream.dead_letters import DeadLetterError
    from stream.feeds.state import StateError
    from stream.forgetting import ForgetError
    from stream.reading import NoAnswer
    from stream.rows import RowsError
    from stream.send import SendError
    from stream.topics import TopicError
    from stream.up import UpError

    return (
        Failure,
        OSError,
        OperationalError,
        SchemaError,
        TokenError,
        BacktestError,
        ModelError,
        BrokerError,
        BrokerUnreachable,
        DeadLetterError,
        ForgetError,
        NoAnswer,
        RowsError,
        SendError,
        StateError,
        TopicError,
        UpError,
    )


def _mistakes() -> tuple[type[Exception], ...]:
    """What is a mistake in the command or its settings."""
    from sqlalchemy.exc import ArgumentError

    from stream.feeds.listing import FeedsError
    from stream.watchlist import WatchlistError

    return SettingsError, WatchlistError, FeedsError, ArgumentError


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
        if isinstance(error, _mistakes()):
            status = 2
        elif isinstance(error, _failures()):
            status = 1
        else:
            raise
        print(f"barograph: {_line(error)}", file=sys.stderr)
        sys.exit(status)


def _line(error: Exception) -> str:
    """What went wrong, for the user."""
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OperationalError):
        # The driver's own words come in several lines, and SQLAlchemy adds a link.
        reason = " ".join(str(error.orig).split())
        return f"the database cannot be used (setting database_url): {reason}"
    return str(error)


if __name__ == "__main__":
    main()
