"""The desk in a real browser: what a person does there, and what it looks like.

Pictures of every page are left in ``build/pictures``.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from sqlalchemy import Engine

from alerts.acts import acknowledgements_of
from alerts.corrections import list_corrections
from alerts.desk import create_app
from alerts.records import Alert, AlertWindow, Window
from alerts.settings import DeliverySettings
from alerts.tokens import create_token
from tests.alerts.examples import alert, evidence, window
from tests.alerts.test_desk import store
from tests.browser import Browser, Page
from tests.servers import ROOT, answers, eventually

PICTURES = ROOT / "build" / "pictures"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOSTILE = (
    "<script>document.title='owned'</script>\"'><img src=x onerror=\"document.title='owned'\">"
)


@contextmanager
def serving(engine: Engine, delivery: DeliverySettings | None = None) -> Iterator[str]:
    """The desk on a port of this machine; its address."""
    app = create_app(engine, delivery or DeliverySettings(), lambda: True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: answers(f"{base}/healthz"))
            yield base
        finally:
            server.should_exit = True
            thread.join()


def spike(topic: str = "watch:market", **changes: Any) -> Alert:
    """An alert of just now."""
    end = NOW + timedelta(minutes=5)
    tested = AlertWindow(
        start=end - timedelta(hours=1),
        end=end,
        documents=30,
        stories=21,
        negative_stories=18,
        sources=5,
        mean_sentiment=-0.6,
    )
    values: dict[str, Any] = {
        "id": f"{topic}-1",
        "topic": topic,
        "severity": "critical",
        "starts_at": NOW,
        "detected_at": NOW,
        "window": tested,
        "surprise": {"count_1h": 8.1, "share_1h": 4.0, "count_24h": 1.2, "share_24h": 0.3},
        "evidence": tuple(evidence(i, time=NOW) for i in range(5)),
    }
    return alert(**{**values, **changes})


def history(topic: str, busy: int) -> list[Window]:
    """Two days of a topic, the last hour of which was bad."""
    found = []
    for seconds, count in ((300, 2 * 288), (3600, 48), (86400, 3)):
        for back in range(count):
            start = datetime.fromtimestamp(NOW.timestamp() // seconds * seconds, UTC)
            documents = max(1, busy * seconds // 3600 + (back * 7) % 3 - 1)
            bad = seconds < 86400 and back * seconds < 3600
            negative = documents * 4 // 5 if bad else (documents + back % 5) // 5
            neutral = (documents - negative) // 2
            found.append(
                window(
                    topic,
                    start - timedelta(seconds=seconds * back),
                    seconds,
                    documents=documents,
                    negative=negative,
                    negative_stories=negative,
                    neutral=neutral,
                    positive=documents - negative - neutral,
                    expected_negative_stories=busy * seconds / 3600 / 5,
                )
            )
    return found


def fill(engine: Engine) -> Alert:
    first = spike()
    store(
        engine,
        first,
        *history("watch:market", 30),
        *history("class:energy-oil", 9),
        *history("watch:a-company-with-rather-a-long-name-and-then-some", 3),
        window("class:dividend", NOW - timedelta(days=2)),
        window("class:dividend", NOW - timedelta(days=2), 300),
    )
    return first


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.page() as page:
        page.view(1280)
        yield page


def test_from_a_spike_to_its_acknowledgement(engine: Engine, page: Page) -> None:
    secret = create_token(engine, "desk", "act", datetime.now(UTC))
    store(engine, *history("watch:market", 30))
    with serving(engine) as base:
        page.open(base)
        assert page.run("location.pathname") == "/login"
        page.type("#token", "barograph_wrong")
        page.submit("#token")
        assert "unknown" in page.text()
        page.type("#token", secret)
        page.submit("#token")
        assert "No alert is firing" in page.text()
        page.run("window.__same = true")
        # It fires, and the page says so without being loaded again.
        store(engine, spike())
        page.until("document.querySelector('h1').innerText.startsWith('1 alert firing')")
        assert page.run("window.__same && document.title") == "(1) Barograph"
        assert "not acknowledged" in page.text("#firing")
        page.run("window.__old = true; document.querySelector('#firing .alerts a').click()")
        page.loaded()
        assert "18 negative stories from 5 sources" in page.text("h1")
        page.picture(PICTURES / "flow-1-alert.png")
        page.type("#a-name", "Ana Risk")
        page.type("#a-comment", "calling the desk")
        page.submit("#a-comment")
        assert "acknowledged by Ana Risk" in page.text("#summary")
        assert "calling the desk" in page.text("#history")
        # A label is found to be wrong, by keyboard alone.
        page.focus("#wrong-2 summary")
        page.press("Enter")
        page.until("document.querySelector('#wrong-2').open")
        assert page.run("document.querySelector('#who-2').value") == "Ana Risk"
        page.submit("#why-2")
        assert "corrected to neutral by Ana Risk" in page.text("#evidence")
        assert "1 correction waits for export" in page.text("footer")
        page.picture(PICTURES / "flow-2-acknowledged.png")
        page.open(base)
        assert "acknowledged by Ana Risk" in page.text("#firing")
        page.run("window.__old = true; document.querySelector('form.inline button').click()")
        page.loaded()
        assert page.run("location.pathname") == "/login"
        assert [each for each in page.complaints() if "403" not in each] == []
        assert {url.startswith((base, "about:")) for url in page.requested()} == {True}
    (seen,) = acknowledgements_of(engine, [spike().id])[spike().id]
    assert (seen.by, seen.comment) == ("Ana Risk", "calling the desk")
    assert [each.document_id for each in list_corrections(engine)] == ["story-1"]


def test_a_page_that_is_used_is_left_alone(engine: Engine, page: Page) -> None:
    first = fill(engine)
    with serving(engine) as base:
        page.open(f"{base}/alerts/{quote(first.id)}")
        page.type("#a-comment", "half a sent")
        page.run("document.querySelector('#wrong-1').open = true; window.scrollTo(0, 40)")
        store(engine, spike(state="resolved", ends_at=NOW + timedelta(minutes=30)))
        page.until("document.querySelector('#summary').innerText.includes('resolved')")
        assert page.run("document.querySelector('#a-comment').value") == "half a sent"
        assert page.run("document.activeElement.id") == "a-comment"
        assert page.run("document.querySelector('#wrong-1').open")
        assert page.run("window.scrollY") == 40
        page.open(base)
        page.focus(f"#t-{'watch'}\\:market")
        store(engine, spike("class:energy-oil"))
        page.until("document.querySelector('h1').innerText.startsWith('1 alert')")
        assert page.run("document.activeElement.id") == "t-watch:market"
        page.until("document.querySelector('#live').innerText.includes('follows')")
        assert page.complaints() == []


def test_what_is_sent_in_is_shown_as_text(engine: Engine, page: Page) -> None:
    story = evidence(1, text=HOSTILE, source=HOSTILE, url="javascript:document.title='owned'")
    linked = evidence(2, text=HOSTILE, url=f"https://news.example/{HOSTILE}")
    first = spike(HOSTILE, id=HOSTILE, evidence=(story, linked))
    store(engine, first, *(window(HOSTILE, NOW, seconds) for seconds in (300, 3600)))
    with serving(engine) as base:
        page.open(f"{base}/alerts/{quote(HOSTILE)}")
        page.type("#a-name", HOSTILE)
        page.type("#a-comment", HOSTILE)
        page.submit("#a-comment")
        for path in ("/", f"/alerts/{quote(HOSTILE)}", f"/topics/{quote(HOSTILE)}"):
            page.open(base + path)
            # A second round, in which the script puts in what it has fetched.
            page.run("refresh()")
            assert HOSTILE in page.text()
            assert page.run("document.title.startsWith('owned')") is False
            assert page.run("document.querySelectorAll('img, main script').length") == 0
        page.open(f"{base}/alerts/{quote(HOSTILE)}")
        links = "[...document.querySelectorAll('.evidence a')].map(a => a.protocol + a.host)"
        assert page.run(links) == ["https:news.example"]
        assert page.text(".evidence").count(HOSTILE) >= 3
        assert page.text("#history").count(HOSTILE) == 2
        assert page.complaints() == []


def test_times_are_in_the_readers_zone(engine: Engine, page: Page) -> None:
    first = fill(engine)
    page.view(1280, zone="Asia/Shanghai")
    with serving(engine) as base:
        page.open(f"{base}/alerts/{quote(first.id)}?lang=en")
        local = (NOW + timedelta(hours=8)).strftime("%H:%M")
        assert local in page.text("#summary time")
        assert page.run("document.querySelector('#summary time').title") == f"{NOW:%F %T} UTC"
        page.scripts(allowed=False)
        page.call("Page.navigate", url=f"{base}/")
        page.until(
            "document.querySelector('footer noscript')?.innerText.includes('Times are in UTC')"
        )
        assert f"{NOW:%F %H:%M} UTC" in page.text("#firing")


@pytest.mark.parametrize("width", [380, 1280])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_pages_fit_and_can_be_read(
    engine: Engine, page: Page, width: int, dark: bool, lang: str
) -> None:
    first = fill(engine)
    page.view(width, dark=dark)
    name = f"{width}-{'dark' if dark else 'light'}-{lang}.png"
    paths = {
        "weather": "/?",
        "alert": f"/alerts/{quote(first.id)}?",
        "topic": "/topics/watch:market?span=2d&",
        "alerts": "/alerts?",
        "missing": "/alerts/none?",
    }
    with serving(engine) as base:
        for kind, path in paths.items():
            page.open(f"{base}{path}lang={lang}")
            page.run("for (const each of document.querySelectorAll('details')) each.open = true")
            assert page.run("document.documentElement.scrollWidth") <= width, kind
            assert page.run(CUT_OFF) == [], kind
            assert page.run(TOO_FAINT) == [], kind
            page.run("for (const each of document.querySelectorAll('details')) each.open = false")
            page.picture(PICTURES / f"{kind}-{name}")


CUT_OFF = """
[...document.querySelectorAll('main *')].filter((each) => {
  const box = each.getBoundingClientRect();
  return box.width && !each.closest('.scroll, svg, thead')
    && (box.right > innerWidth + 1 || box.left < -1);
}).map((each) => each.outerHTML.slice(0, 80))
"""

TOO_FAINT = """
(() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => channels(text).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const faint = [];
  for (const each of document.querySelectorAll('body *')) {
    const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !each.offsetParent || each.closest('svg')) continue;
    const [a, b] = [light(getComputedStyle(each).color), light(ground(each))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${each.outerHTML.slice(0, 80)}`);
  }
  return faint;
})()
"""
