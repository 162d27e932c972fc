from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import quote, unquote

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine
from starlette.testclient import TestClient

from alerts.acts import Actor, acknowledge
from alerts.desk import create_app
from alerts.desk.pages import LISTED
from alerts.desk.render import safe_url
from alerts.desk.texts import LANGUAGES, TEXTS, choose, topic_name, translator
from alerts.outbox import enqueue, transition_message
from alerts.records import Alert, Window
from alerts.settings import DeliverySettings
from alerts.store import open_engine, put_alert, put_windows
from tests.alerts.examples import NOON, alert, evidence, resolved, target, window, worse
from tests.servers import WebhookReceiver

OWN = "http://127.0.0.1"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def store(engine: Engine, *records: Window | Alert) -> None:
    with engine.begin() as connection:
        put_windows(connection, [record for record in records if isinstance(record, Window)])
        for record in records:
            if isinstance(record, Alert):
                put_alert(connection, record)


def client(engine: Engine, delivery: DeliverySettings | None = None, **options: Any) -> TestClient:
    app = create_app(engine, delivery or DeliverySettings(), lambda: True, **options)
    return TestClient(app, base_url=OWN, follow_redirects=False)


@pytest.fixture
def desk(engine: Engine) -> Iterator[TestClient]:
    with client(engine) as desk:
        yield desk


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


def hour(topic: str, hours_ago: float = 0, **changes: Any) -> list[Window]:
    """An hour's window, and one of five minutes in it."""
    start = NOW - timedelta(hours=hours_ago)
    return [window(topic, start, seconds, **changes) for seconds in (300, 3600)]


def order(page: str, *texts: str) -> bool:
    found = [page.index(text) for text in texts]
    return found == sorted(found)


def test_the_weather_shows_alerts_then_the_worst_topics(engine: Engine, desk: TestClient) -> None:
    store(
        engine,
        alert(),
        resolved(id="past", topic="watch:past"),
        *hour("class:calm", documents=1),
        *hour("class:macro", documents=3),
        *hour("watch:bad", documents=30),
        *hour("watch:quiet", 48, documents=90),
    )
    page = desk.get("/").text
    assert "1 alert firing" in page
    assert "not acknowledged" in page
    names = [f">{name}</a>" for name in ("macro", "bad", "calm", "quiet")]
    assert order(page, "12 negative stories", *names, "nothing since", "Lately resolved", ">past: ")
    for word in ("warning", "elevated", "calm", "quiet"):
        assert f"</span> {word}</span>" in page


def test_the_weather_can_be_filtered_without_a_script(engine: Engine, desk: TestClient) -> None:
    store(engine, alert(), *hour("class:macro"), *hour("watch:acme"), *hour("watch:old", 48))

    def shown(**query: str) -> list[str]:
        page = desk.get("/", params=query).text
        return sorted(re.findall(r'id="t-([^"]+)"', page))

    assert shown() == ["class:macro", "watch:acme", "watch:old"]
    assert shown(q="ACM") == ["watch:acme"]
    assert shown(q="watch:") == ["watch:acme", "watch:old"]
    assert shown(kind="class") == ["class:macro"]
    assert shown(state="alert") == shown(state="warning") == ["class:macro"]
    assert shown(state="quiet") == ["watch:old"]
    assert shown(q="宏观", lang="zh") == ["class:macro"]
    assert shown(state="nonsense", kind="nonsense") == shown()
    assert "No topic matches" in desk.get("/", params={"q": "none", "lang": "en"}).text


def test_old_news_is_said_to_be_old(engine: Engine, desk: TestClient) -> None:
    store(engine, *hour("class:macro", 30))
    assert "No document has been counted since" in desk.get("/").text


def test_an_empty_database_says_what_to_do(desk: TestClient) -> None:
    page = desk.get("/").text
    assert "No alert is firing" in page
    assert "barograph send" in page
    assert desk.get("/api/v1/topics").json() == []


def test_past_alerts_are_listed_by_what_fired(engine: Engine, desk: TestClient) -> None:
    assert "No alert has fired yet" in desk.get("/alerts").text
    later = alert(id="later", topic="watch:acme", starts_at=NOW)
    store(engine, alert(), worse(), resolved(severity="critical"), later)
    acknowledge(engine, "later", Actor("Ana"), "", NOW)

    def listed(**query: str) -> list[str]:
        page = desk.get("/alerts", params=query).text
        return [unquote(found) for found in re.findall(r'<a href="/alerts/([^"?]+)">', page)]

    assert listed() == ["later", alert().id]
    assert listed(state="firing") == listed(q="ACM") == ["later"]
    assert listed(state="resolved") == listed(q="宏观", lang="zh") == [alert().id]
    assert listed(state="nonsense") == listed(lang="en")
    page = desk.get("/alerts").text
    assert order(
        page, "acme: 12 negative stories", "acknowledged by Ana", "macro: 12 negative", "critical ·"
    )
    assert "1 negative stories" not in page + desk.get("/topics/class:macro").text
    assert "No alert matches" in desk.get("/alerts", params={"q": "none"}).text


def test_the_list_of_alerts_goes_on_page_by_page(engine: Engine, desk: TestClient) -> None:
    ids = [f"{i:03d}" for i in range(LISTED + 3)]
    store(engine, *(alert(id=name, topic="watch:a&b") for name in ids))
    found: list[str] = []
    address = "/alerts?q=a%26b&state=firing"
    while address:
        page = desk.get(address).text
        found += re.findall(r'<a href="/alerts/([^"?]+)">', page)
        following = re.search(r'<a rel="next" href="([^"]+)">', page)
        address = "/alerts" + unescape(following[1]) if following else ""
    assert found == ids
    assert 'href="?q=a%26b&amp;state=firing">to the newest' in page
    api = desk.get("/api/v1/alerts", params={"before": ids[1], "limit": 2}).json()
    assert [each["id"] for each in api] == ids[2:4]


def test_every_alert_that_fires_is_counted(engine: Engine, desk: TestClient) -> None:
    store(engine, *(alert(id=f"{i}", topic=f"watch:{i}") for i in range(130)), *hour("watch:129"))
    page = desk.get("/").text
    assert "130 alerts firing" in page


def test_an_alert_shows_its_evidence_and_its_way(engine: Engine, desk: TestClient) -> None:
    store(engine, alert(), resolved())
    page = desk.get(f"/alerts/{quote(alert().id)}").text
    assert "macro: 12 negative stories from 5 sources in 1 h, where 2.2 were expected" in page
    assert 'href="https://news.example/1" rel="noopener noreferrer nofollow"' in page
    assert "Bank 2 halts withdrawals" in page
    assert "95 % between 0 and 6" in page
    assert "surprise of the count" in page
    assert "no target is set up" in page
    assert page.count('class="bar tested"') == 1
    assert page.count('class="interval"') == 2  # the band, and its key


def test_an_alert_that_got_worse_shows_what_each_message_said(
    engine: Engine, desk: TestClient
) -> None:
    steps = alert(), worse(), resolved()
    store(engine, *steps)
    with engine.begin() as connection:
        for step in steps:
            enqueue(
                connection, [target("https://hook.example")], transition_message(step, OWN), NOON
            )
    page = desk.get(f"/alerts/{quote(alert().id)}").text
    told = page[page.index('<section id="deliveries"') :].partition("</section>")[0]
    assert order(told, "warning", "critical", "resolved")


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    "path", ["/", "/alerts", "/alerts/{id}", "/topics/{topic}", "/alerts/{topic}"]
)
def test_nothing_that_was_sent_in_becomes_markup(
    engine: Engine, desk: TestClient, path: str, lang: str
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
        *hour(HOSTILE),
    )
    path = path.format(id=quote(HOSTILE), topic=quote(HOSTILE))
    answer = desk.get(path, params={"lang": lang, "q": HOSTILE})
    assert "alert(1)" in answer.text
    assert re.findall("<script[^>]*>", answer.text) == ['<script src="/static/desk.js" defer>']
    assert "<img" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy


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
    page = desk.get(f"/alerts/{quote(alert().id)}").text
    assert "Bank 0 halts withdrawals" in page
    assert 'target="_blank"' not in page


def test_pages_load_nothing_from_elsewhere(engine: Engine, desk: TestClient) -> None:
    store(engine, alert(evidence=()), *hour("class:macro"))
    for path in (
        "/",
        "/alerts",
        f"/alerts/{quote(alert().id)}",
        "/topics/class:macro",
        "/alerts/none",
    ):
        page = desk.get(path).text
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page)
        assert "<style" not in page
        assert " style=" not in page
        assert not re.findall(r" on[a-z]+=", page)
    for name in ("desk.css", "icon.svg", "desk.js"):
        file = desk.get(f"/static/{name}")
        assert file.status_code == 200
        assert "http" not in file.text.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("span", "bars"), [("6h", 3), ("2d", 48), ("7d", 60), ("4w", 2), ("12w", 2), ("x", 48)]
)
def test_a_topic_shows_hours_to_weeks(
    engine: Engine, desk: TestClient, span: str, bars: int
) -> None:
    store(
        engine,
        alert(starts_at=NOW),
        *[window(start=NOW - timedelta(hours=i), documents=i + 1) for i in range(60)],
        *[window(start=NOW + timedelta(minutes=5 * i), seconds=300) for i in range(3)],
        *[window(start=NOW - timedelta(days=i), seconds=86400) for i in range(2)],
    )
    page = desk.get("/topics/class:macro", params={"span": span}).text
    assert page.count('<rect class="bar"') == bars
    assert page.count('<line class="tick"') == bars
    assert page.count('<rect class="l-negative"') == bars
    assert page.count('<rect class="fired') == 1
    assert ", 2.5 expected" in page or "negative, 2.5 expected" in page


@pytest.mark.parametrize("path", ["/alerts/none", "/topics/none", "/none"])
def test_what_is_not_there_is_a_page_of_its_own(desk: TestClient, path: str) -> None:
    answer = desk.get(path)
    assert answer.status_code == 404
    assert "Not" in answer.text
    assert "content-security-policy" in answer.headers


def test_the_language_is_asked_for_kept_or_the_browsers(desk: TestClient) -> None:
    assert 'lang="en"' in desk.get("/").text
    assert 'lang="zh-Hans"' in desk.get("/", headers={"accept-language": "zh-CN,en;q=0.5"}).text
    assert "没有触发中的警报" in desk.get("/?lang=zh&q=a").text
    page = desk.get("/").text
    assert "没有触发中的警报" in page
    assert 'href="?lang=en"' in page
    assert "No alert is firing" in desk.get("/?lang=en").text
    assert choose("xx", "xx", "fr") == "en"


def test_every_text_is_there_in_every_language() -> None:
    for key, forms in TEXTS.items():
        assert len(forms) == len(LANGUAGES), key
        fields = [set(re.findall(r"{(\w+)}", form)) for form in forms]
        assert fields[0] == fields[1], key
        assert all(form.strip() for form in forms), key
    assert translator("zh")("weather") == "总览"


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
    with client(engine, delivery) as desk:
        answer = desk.post("/api/v1/alertmanager", json=notification())
        assert (answer.status_code, answer.json()) == (200, {"queued": 1})
        assert desk.post("/api/v1/alertmanager", json=notification("critical")).status_code == 503
        assert desk.post("/api/v1/alertmanager", json={"alerts": 1}).status_code == 422
        webhook_receiver.wait(1)


def test_alertmanager_may_have_to_show_a_token(engine: Engine) -> None:
    delivery = DeliverySettings(relay_token=SecretStr("let me in"))
    with client(engine, delivery) as desk:
        post = {"url": "/api/v1/alertmanager", "json": {"groupKey": "g", "alerts": []}}
        assert desk.post(**post).status_code == 401
        wrong = {"authorization": "Bearer let me out"}
        assert desk.post(**post, headers=wrong).status_code == 401
        right = {"authorization": "Bearer let me in"}
        assert desk.post(**post, headers=right).status_code == 200


def test_in_direct_mode_the_relay_refuses(engine: Engine) -> None:
    with client(engine, DeliverySettings(mode="direct")) as desk:
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
    with client(engine) as desk:
        for path in ("/", "/api/v1/topics", "/login"):
            answer = desk.get(path)
            assert answer.status_code == 503
            assert "database" in answer.text


def test_topic_names() -> None:
    assert topic_name("class:stock-movement") == "stock movement"
    assert topic_name("watch:acme") == "acme"
    assert topic_name("odd") == "odd"
    assert topic_name("class:stock-movement", "zh") == "股价异动"
    assert topic_name("class:new-one", "zh") == "new one"
