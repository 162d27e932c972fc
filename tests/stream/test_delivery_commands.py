"""``barograph deliveries``: what it lists, what it sends again, and its status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from alerts.outbox import enqueue, transition_message
from alerts.schema import upgrade
from alerts.store import list_deliveries, open_engine
from alerts.tables import deliveries
from tests.alerts.examples import NOON, SECRET, alert, target
from tests.servers import WebhookReceiver
from tests.stream.test_cli import barograph


def test_dead_deliveries_are_listed_and_sent_again(monkeypatch, tmp_path: Path, capsys):
    url = f"sqlite:///{tmp_path}/deliveries.db"
    config = tmp_path / "settings.yaml"
    there = f"{{name: risk, url: 'https://risk.example', secret: '{SECRET}'}}"
    config.write_text(f"database_url: {url}\ndelivery: {{targets: [{there}]}}\n")
    upgrade(url)
    engine = open_engine(url)
    with engine.begin() as connection:
        enqueue(connection, [target()], transition_message(alert(), "http://desk"), NOON)
        connection.execute(
            sa.update(deliveries).values(status="dead", attempts=11, last_error="HTTP 500")
        )
    (dead,) = list_deliveries(engine)

    options = ("-c", str(config))
    assert barograph(monkeypatch, "deliveries", "list", "--status", "dead", *options) == 0
    assert capsys.readouterr().out == (
        f"{dead.id}  2025-03-04 12:00:00  dead       risk  x11  firing  {alert().id}  HTTP 500\n"
    )
    assert barograph(monkeypatch, "deliveries", "list", "--status", "pending", *options) == 0
    assert capsys.readouterr().out == ""

    assert barograph(monkeypatch, "deliveries", "retry", dead.id, *options) == 0
    assert capsys.readouterr().out == f"{dead.id}  waits to be sent\n"
    assert barograph(monkeypatch, "deliveries", "retry", dead.id, "msg_none", *options) == 1
    shown = capsys.readouterr()
    assert shown.out == (
        f"{dead.id}  it is pending, not dead\nmsg_none  there is no such delivery\n"
    )
    assert shown.err == "barograph: 2 of 2 are not sent again, see above\n"
    engine.dispose()


def written(folder: Path, *targets: str) -> str:
    config = folder / "settings.yaml"
    delivery = f"delivery: {{targets: [{', '.join(targets)}]}}"
    config.write_text(f"database_url: sqlite:///{folder}/not-made.db\n{delivery}\n")
    return str(config)


def entry(name: str, url: str, **more: str) -> str:
    given = {"secret": SECRET, "internal": "true", **more}
    return f"{{name: {name}, url: '{url}', {', '.join(f'{k}: {v}' for k, v in given.items())}}}"


def test_a_test_message_is_signed_and_tells_that_it_is_one(
    monkeypatch, tmp_path: Path, capsys, webhook_receiver: WebhookReceiver
):
    config = written(tmp_path, entry("risk", webhook_receiver.url))
    assert barograph(monkeypatch, "deliveries", "test", "-c", config) == 0
    assert capsys.readouterr().out == "risk  taken: HTTP 200\n"
    (got,) = webhook_receiver.requests
    message = Webhook(SECRET).verify(got.body, got.headers)
    assert (message["type"], message["data"]["state"]) == ("test", "resolved")
    assert "test message" in message["data"]["summary"]
    assert not (tmp_path / "not-made.db").exists()


@pytest.mark.parametrize("form", ["json", "slack", "teams"])
def test_it_comes_in_the_format_of_the_target(
    monkeypatch, tmp_path: Path, webhook_receiver: WebhookReceiver, form
):
    config = written(tmp_path, entry("chat", webhook_receiver.url, format=form))
    assert barograph(monkeypatch, "deliveries", "test", "chat", "-c", config) == 0
    (got,) = webhook_receiver.requests
    assert "test message of Barograph" in got.body.decode()
    assert json.loads(got.body).get("type") == {"json": "test", "teams": "message"}.get(form)


def test_targets_that_do_not_take_it_are_named_with_the_reason(
    monkeypatch, tmp_path: Path, capsys, webhook_receiver: WebhookReceiver
):
    config = written(
        tmp_path,
        entry("good", webhook_receiver.url),
        entry("closed", "http://127.0.0.1:1/"),
        entry("private", webhook_receiver.url, internal="false"),
    )
    assert barograph(monkeypatch, "deliveries", "test", "-c", config) == 1
    shown = capsys.readouterr()
    good, closed, private = shown.out.splitlines()
    assert good == "good  taken: HTTP 200"
    assert closed.startswith("closed  not taken: ConnectError")
    assert "set internal: true for this target" in private
    assert shown.err == "barograph: 2 targets did not take the message\n"
    webhook_receiver.status = 410
    assert barograph(monkeypatch, "deliveries", "test", "good", "-c", config) == 1
    assert "good  not taken: HTTP 410" in capsys.readouterr().out


def test_a_target_that_is_not_there_is_wrong_usage(monkeypatch, tmp_path: Path, capsys):
    config = written(tmp_path, entry("risk", "https://risk.example"))
    assert barograph(monkeypatch, "deliveries", "test", "risks", "-c", config) == 2
    assert capsys.readouterr().err == "barograph: no target risks: there are risk\n"
    assert barograph(monkeypatch, "deliveries", "test", "-c", written(tmp_path)) == 2
    assert "names no target" in capsys.readouterr().err
