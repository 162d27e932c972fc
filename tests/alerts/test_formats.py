"""The bodies for chats: nothing that was sent in is read as markup, and none is too long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.fitting import MAX_BODY, fitted
from alerts.formats import Format, escape_slack, one_line, render, safe_link
from alerts.records import Alert
from alerts.webhooks import alert_body
from tests.alerts.examples import alert, evidence, resolved

DESK = "http://desk.example"
HOSTILE = (
    "*Buy* _now_ ~or~ `cry` <!channel> <https://evil.example|here> [x](https://evil.example) &"
)
CHATS: tuple[Format, ...] = ("slack", "teams")
FORMATS: tuple[Format, ...] = ("standard", "json", *CHATS)


def made(form: Format, of: Alert) -> Any:
    return json.loads(render(form, alert_body(of, DESK)))


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside, itself included."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def links(value: Any) -> list[str]:
    return [part["url"] for part in parts(value) if "url" in part]


def test_standard_is_the_body_as_it_is() -> None:
    body = alert_body(alert(), DESK)
    assert render("standard", body) == body


def test_json_is_the_alert_on_one_level() -> None:
    data = json.loads(alert_body(resolved(), DESK))
    assert made("json", resolved()) == {
        "type": "alert.resolved",
        "timestamp": data["timestamp"],
        **data["data"],
    }


def test_slack_shows_the_sentence_the_stories_and_the_desk() -> None:
    message = made("slack", alert())
    assert message["blocks"][0] == {
        "type": "header",
        "text": {"type": "plain_text", "text": "Firing, warning: class:macro", "emoji": False},
    }
    assert message["blocks"][1]["text"]["text"] == alert().summary
    stories = message["blocks"][2]["elements"][0]["elements"]
    assert stories[0]["elements"] == [
        {"type": "link", "url": "https://news.example/1", "text": "Bank 1 halts withdrawals"},
        {"type": "text", "text": " (wire-1, 2025-03-04 12:00 UTC, 97 % negative)"},
    ]
    assert links(message)[-1] == f"{DESK}/alerts/class%3Amacro-1741089600"
    assert alert().summary in message["text"]
    assert message["mrkdwn"] is False


def test_teams_gets_a_message_with_one_card() -> None:
    message = made("teams", resolved())
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    shown = ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]
    assert shown[:2] == ["Resolved, warning: class:macro", resolved().summary]
    assert shown[2] == "• Bank 1 halts withdrawals (wire-1, 2025-03-04 12:00 UTC, 97 % negative)"
    assert shown[-1] == "2025-03-04 12:00 UTC to 2025-03-04 13:00 UTC"
    assert card["body"][0]["inlines"][0]["color"] == "Good"
    assert card["actions"][0]["url"].startswith(DESK)


@pytest.mark.parametrize("form", CHATS)
def test_a_headline_is_shown_as_it_is_and_read_as_no_markup(form: Format) -> None:
    story = evidence(text=HOSTILE, source=HOSTILE, url="https://news.example/1")
    message = made(form, alert(topic=HOSTILE, evidence=(story,)))
    literal = {"text", "link", "plain_text", "TextRun"}
    texts = [part for part in parts(message) if isinstance(part.get("text"), str)]
    holding = [part for part in texts if HOSTILE in part["text"]]
    assert any(part["text"] == HOSTILE for part in holding)
    assert {part.get("type") for part in holding} <= literal
    assert not [part for part in parts(message) if part.get("type") in ("mrkdwn", "TextBlock")]
    assert "<!channel>" not in message.get("text", "")
    assert {link for link in links(message) if "evil" in link} == set()


@pytest.mark.parametrize("form", CHATS)
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://news.example/1",
        "https://user:password@news.example/1",
        "https://news.example/a b",
        "https://news.example/|x>",
        "//news.example/1",
        "https://",
        "http://[::1",
        "https://news.example/" + "a" * 2000,
        None,
    ],
)
def test_what_is_no_plain_address_is_no_link(form: Format, url: str | None) -> None:
    message = made(form, alert(evidence=(evidence(1, url=url),)))
    assert [link for link in links(message) if not link.startswith(DESK)] == []
    assert "Bank 1 halts withdrawals" in json.dumps(message)


def test_links_that_are_fine() -> None:
    for url in ("https://news.example/新闻?a=1&b=2#c", "http://10.0.0.1:8080/x"):
        assert safe_link(url) == url


def test_a_text_is_one_line_of_what_can_be_read() -> None:
    assert one_line(" a\n b\t\u2028c\x00\x1b[31m \u202edcba\u2066 ") == "a b c[31m dcba"
    assert escape_slack("a<b>&c") == "a&lt;b&gt;&amp;c"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("character", ["€", "\x01", "𝄞", "<", '"'])
def test_no_body_is_over_20_kb(form: Format, character: str) -> None:
    stories = tuple(
        evidence(i, text=f"{i}" + character * 4000, url=f"https://news.example/{'a' * 1900}")
        for i in range(5)
    )
    body = render(form, alert_body(alert(evidence=stories), DESK))
    assert len(body.encode()) <= MAX_BODY
    assert all(f'"{i}' in body for i in range(3))  # the texts are cut before stories are left out


@pytest.mark.parametrize("form", FORMATS)
def test_whatever_is_long_is_cut(form: Format) -> None:
    huge = "x" * 50_000
    of = alert(topic=huge, rule=huge, surprise={huge: 1.0}, config_version=huge)
    body = render(form, alert_body(of, DESK + "/" + huge))
    assert len(body.encode()) <= MAX_BODY


def test_what_fits_is_left_as_it_is() -> None:
    stories = tuple(evidence(i, text="a" * 900) for i in range(5))
    data = json.loads(alert_body(alert(evidence=stories), DESK))["data"]
    assert [len(story["text"]) for story in data["evidence"]] == [900] * 5


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=50)))
def test_any_text_fits(value: Any) -> None:
    data = {"id": str(value), "summary": str(value) * 50, "more": value, "evidence": []}
    text = fitted(data, lambda content: json.dumps(content, ensure_ascii=False))
    assert len(text.encode("utf-8", "surrogatepass")) <= MAX_BODY
