"""The servers that the other tests rely on do start, answer and record."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
import sqlalchemy

from tests.servers import eventually


def test_postgres_gives_each_test_an_empty_database(postgres_url):
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table t (x int)"))
        assert connection.execute(sqlalchemy.text("select count(*) from t")).scalar() == 0
    engine.dispose()


def test_prometheus_scrapes_itself_and_reaches_alertmanager(prometheus, alertmanager):
    routes = "route: {receiver: none}\nreceivers: [{name: none}]\n"
    with alertmanager(routes) as manager:
        config = f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{manager[7:]}']}}]}}]}}
"""
        rules = "groups: [{name: g, rules: [{alert: Always, expr: vector(1)}]}]"
        with prometheus(config, files={"rules.yml": rules}):

            def firing():
                with urllib.request.urlopen(f"{manager}/api/v2/alerts") as response:
                    return [a["labels"]["alertname"] for a in json.load(response)]

            assert eventually(firing) == ["Always"]


def test_the_receiver_records_and_answers_as_told(webhook_receiver):
    webhook_receiver.statuses = [503]
    request = urllib.request.Request(webhook_receiver.url + "hook", b"{}", {"Webhook-Id": "1"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    refused.value.close()
    urllib.request.urlopen(request).close()
    first, second = webhook_receiver.wait(2)
    assert (first.method, first.path, first.body) == ("POST", "/hook", b"{}")
    assert second.headers["webhook-id"] == "1"
