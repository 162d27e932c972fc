"""``barograph deliveries``: what it lists, what it sends again, and its status."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from alerts.outbox import enqueue, transition_message
from alerts.schema import upgrade
from alerts.store import list_deliveries, open_engine
from alerts.tables import deliveries
from tests.alerts.examples import NOON, SECRET, alert, target
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
