from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Engine
from starlette.testclient import TestClient

from alerts.desk import create_app
from alerts.desk.chart import HEIGHT, WIDTH, draw
from alerts.desk.pages import safe_url, topic_name
from alerts.desk.weather import outlook
from alerts.records import Alert, Window
from alerts.settings import DeliverySettings
from alerts.store import open_engine, put_alert, put_windows
from tests.alerts.examples import NOON, alert, evidence, resolved, target, window
from tests.servers import WebhookReceiver

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def store(engine: Engine, *records: Window | Alert) -> None:
    with engine.begin() as connection:
        put_windows(connection, [record for record in records if isinstance(record, Window)])
        for record in records:
            if isinstance(record, Alert):
                put_alert(connection, record)


@pytest.fixture
def desk(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(engine, DeliverySettings(), lambda: True)) as client:
        yield client


def notification(severity: str = "warning") -> dict[str, Any]:
    return {
        "groupKey": "g",
        "alerts": [
            {
                "status": "firing",
                "labels": {"topic": "class:macro", "severity": severity},
                "startsAt": datetime.now(UTC).isoformat(),
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": "f",
            }
        ],
    }


def test_the_weather_shows_alerts_then_the_worst_topics(engine: Engine, desk: TestClient) -> None:
    store(
        engine,
        alert(),
        resolved(id="past", topic="watch:past"),
        window("class:calm", NOW, documents=1),
        window("class:macro", NOW, documents=30),
        window("watch:quiet", NOW - timedelta(days=2), documents=90),
    )
    page = desk.get("/").text
    assert "1 alert firing" in page
    order = ["12 negative stories", ">macro</a>", ">calm</a>", ">quiet</a>", "quiet since"]
    found = [page.index(text) for text in order]
    assert found == sorted(found)
    assert page.index("Lately resolved") < page.rindex("watch:past")


def test_an_empty_database_says_what_to_do(desk: TestClient) -> None:
    page = desk.get("/").text
    assert "No alert is firing" in page
    assert "barograph send" in page
    assert desk.get("/api/v1/topics").json() == []


def test_an_alert_shows_its_evidence_and_its_way(engine: Engine, desk: TestClient) -> None:
    store(engine, alert(), resolved())
    page = desk.get(f"/alerts/{alert().id}").text
    assert alert().summary in page
    assert 'href="https://news.example/1" rel="noopener noreferrer nofollow"' in page
    assert "Bank 2 halts withdrawals" in page
    assert "2.2 <small>(0 to 6)" in page
    assert page.count("<td>firing</td>") == 1
    assert "no target is set up" in page


@pytest.mark.parametrize("path", ["/", "/alerts/{id}", "/topics/{topic}", "/alerts/{topic}"])
def test_nothing_that_was_sent_in_becomes_markup(
    engine: Engine, desk: TestClient, path: str
) -> None:
    story = evidence(text=HOSTILE, source=HOSTILE, url=f"https://x.example/{HOSTILE}")
    store(
        engine,
        alert(
            id=HOSTILE,
            topic=HOSTILE,
            rule=HOSTILE,
            evidence=(story,),
            surprise={HOSTILE: 1.0},
            config_version=HOSTILE,
        ),
        window(HOSTILE, NOW),
    )
    answer = desk.get(path.format(id=quote(HOSTILE), topic=quote(HOSTILE)))
    assert "alert(1)" in answer.text
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JAVASCRIPT://news.example/%0aalert(1)",
        "data:text/html,x",
        "//x",
        "/x",
        "http:",
        "http://[",
        None,
    ],
)
def test_only_web_addresses_become_links(engine: Engine, desk: TestClient, url: str | None) -> None:
    assert safe_url(url) is None
    store(engine, alert(evidence=(evidence(url=url),)))
    page = desk.get(f"/alerts/{alert().id}").text
    assert page.count("href=") == 4  # style, icon, home, topic
    assert "Bank 0 halts withdrawals" in page


def test_pages_load_nothing_from_elsewhere(engine: Engine, desk: TestClient) -> None:
    store(engine, alert(evidence=()), window(start=NOW))
    for path in ("/", f"/alerts/{alert().id}", "/topics/class:macro"):
        page = desk.get(path).text
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
        assert "<style" not in page
        assert " style=" not in page
    for path in ("/static/desk.css", "/static/icon.svg"):
        assert desk.get(path).status_code == 200


def test_a_topic_shows_found_and_expected(engine: Engine, desk: TestClient) -> None:
    store(engine, *[window(start=NOW - timedelta(hours=i), documents=i + 1) for i in range(60)])
    page = desk.get("/topics/class:macro").text
    assert page.count('<rect class="bar"') == 48
    assert page.count('<line class="tick"') == 48
    assert "1 negative, 2.5 expected" in page


@pytest.mark.parametrize("path", ["/alerts/none", "/topics/none"])
def test_what_is_not_there_is_a_page_of_its_own(desk: TestClient, path: str) -> None:
    answer = desk.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "content-security-policy" in answer.headers


def test_the_api(engine: Engine, desk: TestClient) -> None:
    hours = [window(start=NOON + timedelta(hours=i), documents=i + 1) for i in range(3)]
    store(engine, *hours, alert(), resolved())
    topics = desk.get("/api/v1/topics").json()
    assert [Window.model_validate(each) for each in topics] == [hours[2]]
    query = {"topic": "class:macro", "seconds": 3600, "since": "2025-03-04T13:00:00Z"}
    windows = desk.get("/api/v1/windows", params=query).json()
    assert [Window.model_validate(each) for each in windows] == hours[1:]
    listed = desk.get("/api/v1/alerts", params={"state": "resolved"}).json()
    assert [Alert.model_validate(each) for each in listed] == [resolved()]
    one = desk.get(f"/api/v1/alerts/{alert().id}").json()
    assert [step["state"] for step in one["transitions"]] == ["firing", "resolved"]
    assert one["deliveries"] == []
    assert desk.get("/api/v1/alerts/none").status_code == 404
    assert desk.get("/api/v1/windows", params={"topic": "x", "seconds": 7}).status_code == 422


def test_alertmanager_posts_and_the_target_is_told(
    engine: Engine, webhook_receiver: WebhookReceiver
) -> None:
    store(engine, alert())
    delivery = DeliverySettings(targets=(target(webhook_receiver.url),))
    with TestClient(create_app(engine, delivery, lambda: True)) as desk:
        answer = desk.post("/api/v1/alertmanager", json=notification())
        assert (answer.status_code, answer.json()) == (200, {"queued": 1})
        assert desk.post("/api/v1/alertmanager", json=notification("critical")).status_code == 503
        assert desk.post("/api/v1/alertmanager", json={"alerts": 1}).status_code == 422
        webhook_receiver.wait(1)


def test_alertmanager_may_have_to_show_a_token(engine: Engine) -> None:
    delivery = DeliverySettings(relay_token=SecretStr("let me in"))
    with TestClient(create_app(engine, delivery, lambda: True)) as desk:
        post = {"url": "/api/v1/alertmanager", "json": {"groupKey": "g", "alerts": []}}
        assert desk.post(**post).status_code == 401
        wrong = {"authorization": "Bearer let me out"}
        assert desk.post(**post, headers=wrong).status_code == 401
        right = {"authorization": "Bearer let me in"}
        assert desk.post(**post, headers=right).status_code == 200


def test_in_direct_mode_the_relay_refuses(engine: Engine) -> None:
    app = create_app(engine, DeliverySettings(mode="direct"), lambda: True)
    with TestClient(app) as desk:
        assert desk.post("/api/v1/alertmanager", json=notification()).status_code == 409


def test_health_and_metrics(engine: Engine) -> None:
    ready = False
    with TestClient(create_app(engine, DeliverySettings(), lambda: ready)) as desk:
        assert desk.get("/healthz").status_code == 200
        assert desk.get("/readyz").status_code == 503
        ready = True
        assert desk.get("/readyz").status_code == 200
        assert "barograph_deliveries_total" in desk.get("/metrics").text
        assert desk.get("/docs").status_code == 404


def test_a_database_that_is_down_is_said_so() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none")
    with TestClient(create_app(engine, DeliverySettings(), lambda: False)) as desk:
        for path in ("/", "/api/v1/topics"):
            answer = desk.get(path)
            assert answer.status_code == 503
            assert "database" in answer.text


def test_topic_names() -> None:
    assert topic_name("class:stock-movement") == "stock movement"
    assert topic_name("watch:acme") == "acme"
    assert topic_name("odd") == "odd"


@given(
    st.lists(
        st.builds(
            window,
            start=st.integers(0, 47).map(lambda hour: NOON + timedelta(hours=hour)),
            documents=st.integers(0, 10**6),
            expected_negative_stories=st.none() | st.floats(0, 10**6),
        ),
        max_size=48,
    )
)
def test_charts_stay_within_their_box(windows: list[Window]) -> None:
    chart = draw(windows, NOON, NOON + timedelta(hours=48))
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert -0.01 <= bar.y <= bar.y + bar.height <= HEIGHT + 0.02
        assert bar.expected_y is None or 0 <= bar.expected_y <= HEIGHT
    for topic in outlook(windows, NOON):
        assert 0 <= topic.share <= 100.0001
        assert 0 <= topic.expected_share <= 100.0001
