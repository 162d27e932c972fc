"""The body of a webhook as its target wants it: Standard Webhooks, plain JSON, Slack, Teams. Pure.

Headlines are other people's words. In a chat they stand only where the chat reads no markup: in
Slack's rich text and plain text, and in the text runs of an Adaptive Card. So nobody can write
``*bold*`` or ``<!channel>`` by way of a headline, and none is mangled either. A link is one only if
it is http or https and carries no password.

https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format
https://adaptivecards.io/explorer/RichTextBlock.html
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from alerts.fitting import cut, fitted

Format = Literal["standard", "json", "slack", "teams"]
Message = Mapping[str, Any]

HEADER = 150
"""Characters that Slack allows in a header."""

SECTION = 3000
"""Characters that Slack allows in a section."""

LINK = 2000
"""Characters of the longest address that is made a link; a document's can be no longer."""

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(form: Format, payload: str) -> str:
    """The JSON text to post, 20 kB at most.

    Args:
        form: the target's format.
        payload: the standard message, as it lies in the outbox.

    Raises:
        ValueError: the payload is not JSON.
    """
    if form == "standard":
        return payload
    message = json.loads(payload)
    make: Callable[[Message], dict[str, Any]] = {
        "json": _plain,
        "slack": _slack,
        "teams": _teams,
    }[form]
    return fitted(message["data"], lambda data: _text(make({**message, "data": data})))


def safe_link(url: object) -> str | None:
    """The address if it may be made a link: http or https, a host, and no password in it."""
    if not isinstance(url, str) or len(url) > LINK:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return None if any(c.isspace() or c in '<>"|\\' for c in url) else url


def one_line(text: object) -> str:
    """A text without line ends, control characters, and marks that turn the writing direction."""
    shown = "".join(
        " " if c.isspace() else c
        for c in str(text)
        if c.isspace() or (unicodedata.category(c) != "Cc" and not _turns(c))
    )
    return " ".join(shown.split())


def escape_slack(text: str) -> str:
    """A text for where Slack reads markup, with its three control characters written out."""
    return text.translate(_MARKUP)


def _turns(character: str) -> bool:
    return "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _plain(message: Message) -> dict[str, Any]:
    """The alert with the event's type and time, on one level."""
    return {"type": message["type"], "timestamp": message["timestamp"], **message["data"]}


def _heading(data: Message) -> str:
    state = "Resolved" if data.get("state") == "resolved" else "Firing"
    if data.get("preliminary"):
        state = "Preliminary alert withdrawn" if state == "Resolved" else "Preliminary"
    return one_line(f"{state}, {data.get('severity', 'warning')}: {data.get('topic', '')}")


def _about(story: Message) -> str:
    """Where a story is from, when, and how negative."""
    parts = [one_line(story.get("source", "")), _moment(story.get("time"))]
    if isinstance(negative := story.get("negative"), int | float):
        parts.append(f"{100 * negative:.0f} % negative")
    if isinstance(documents := story.get("documents"), int) and documents > 1:
        parts.append(f"told by {documents} documents")
    return ", ".join(part for part in parts if part)


def _moment(time: object) -> str:
    """``2025-03-04T12:00:00Z`` as people read it."""
    return f"{time[:16].replace('T', ' ')} UTC" if isinstance(time, str) and time else ""


def _span(data: Message) -> str:
    since, until = _moment(data.get("starts_at")), _moment(data.get("ends_at"))
    return f"{since} to {until}" if until else f"since {since}"


def _slack(message: Message) -> dict[str, Any]:
    """For an incoming webhook of Slack. ``text`` is for notices, and for servers without blocks."""
    data = message["data"]
    heading, summary = _heading(data), one_line(data.get("summary", ""))
    desk = safe_link(data.get("dashboard_url"))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _slack_plain(cut(heading, HEADER))},
    ]
    if summary:
        blocks.append({"type": "section", "text": _slack_plain(cut(summary, SECTION))})
    if stories := [_slack_story(story) for story in data.get("evidence", ())]:
        bullets = {"type": "rich_text_list", "style": "bullet", "elements": stories}
        blocks.append({"type": "rich_text", "elements": [bullets]})
    foot = [_slack_words(_span(data))]
    if desk is not None:
        foot = [_slack_link(desk, "Open on the desk"), _slack_words(", "), *foot]
    section = {"type": "rich_text_section", "elements": foot}
    blocks.append({"type": "rich_text", "elements": [section]})
    words = " – ".join(part for part in (heading, cut(summary, SECTION), desk) if part)
    return {"text": escape_slack(words), "mrkdwn": False, "blocks": blocks}


def _slack_plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _slack_words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _slack_link(url: str, text: str) -> dict[str, Any]:
    return {"type": "link", "url": url, "text": text}


def _slack_story(story: Message) -> dict[str, Any]:
    headline = one_line(story.get("text", "")) or "(no text)"
    link = safe_link(story.get("url"))
    first = _slack_words(headline) if link is None else _slack_link(link, headline)
    return {
        "type": "rich_text_section",
        "elements": [first, _slack_words(f" ({_about(story)})")],
    }


def _teams(message: Message) -> dict[str, Any]:
    """For a Teams workflow "when a webhook request is received": a message with one card."""
    data = message["data"]
    resolved = data.get("state") == "resolved"
    color = "Good" if resolved else "Attention" if data.get("severity") == "critical" else "Warning"
    heading = {"size": "Large", "weight": "Bolder", "color": color}
    body = [_runs(_run(_heading(data), **heading))]
    if summary := one_line(data.get("summary", "")):
        body.append(_runs(_run(summary)))
    body += [_teams_story(story) for story in data.get("evidence", ())]
    body.append(_runs(_run(_span(data), isSubtle=True)))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if (desk := safe_link(data.get("dashboard_url"))) is not None:
        card["actions"] = [_open(desk, title="Open on the desk")]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _runs(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}


def _open(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "Action.OpenUrl", "url": url, **more}


def _teams_story(story: Message) -> dict[str, Any]:
    headline = one_line(story.get("text", "")) or "(no text)"
    link = safe_link(story.get("url"))
    more = {} if link is None else {"selectAction": _open(link)}
    return _runs(_run("• "), _run(headline, **more), _run(f" ({_about(story)})", isSubtle=True))
