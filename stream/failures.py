"""Which errors a user can mend: what the command line says of them, and its exit status.

What they are is imported when something was raised: a command that works needs none of it.
"""

from __future__ import annotations

from stream.commands import Failure
from stream.settings import SettingsError


def exit_status(error: Exception) -> int | None:
    """1 for what failed, 2 for a mistake in the command or its settings, None for our own fault."""
    if isinstance(error, _mistakes()):
        return 2
    return 1 if isinstance(error, _failures()) else None


def line(error: Exception) -> str:
    """What went wrong, for the user."""
    from sqlalchemy.exc import OperationalError

    if isinstance(error, OperationalError):
        # The driver's own words come in several lines, and SQLAlchemy adds a link.
        reason = " ".join(str(error.orig).split())
        return f"the database cannot be used (setting database_url): {reason}"
    return str(error)


def _failures() -> tuple[type[Exception], ...]:
    """What a command may raise for the user to read."""
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
