from __future__ import annotations

from pathlib import Path

import pytest

from stream.settings import SettingsError, load
from stream.up import write_settings
from tests.alerts.examples import target

FILE = "kafka: {bootstrap: 'file:1', partitions: 8}\ndetector: {min_stories: 7}\n"


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_all_has_a_default() -> None:
    assert load().kafka.bootstrap == "127.0.0.1:9092"


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, FILE)
    assert load(path).kafka.bootstrap == "file:1"
    monkeypatch.setenv("BAROGRAPH_KAFKA__BOOTSTRAP", "environment:2")
    assert load(path).kafka.bootstrap == "environment:2"
    found = load(path, kafka={"bootstrap": "option:3"})
    assert (found.kafka.bootstrap, found.kafka.partitions) == ("option:3", 8)
    assert found.detector.min_stories == 7


def test_the_environment_may_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAROGRAPH_CONFIG", str(write(tmp_path, FILE)))
    assert load().kafka.partitions == 8


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load(write(tmp_path, "")).model_dump() == load().model_dump()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("kafka: {partitions: 0}", r"setting kafka\.partitions: .*greater than or equal to 1"),
        ("kafka: {partitons: 1}", r"setting kafka\.partitons: Extra inputs"),
        ("kafkas: {}", r"setting kafkas: Extra inputs"),
        ("kafka: 5", r"setting kafka"),
        ("weights: {wire: 11}", r"setting weights\.wire: .*less than or equal to 10"),
        ("[1]", "must hold a mapping"),
        ("{", "is not YAML"),
        (b"\xff\xfe", "is not YAML"),
        (
            "delivery: {targets: [{name: a, url: 'http://x', secret: whsec_short}]}",
            r"delivery\.targets\.0\.secret: .*openssl rand",
        ),
    ],
)
def test_a_mistake_is_said_in_one_line(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        load(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read settings .*: No such file"):
        load(tmp_path / "none.yaml")


def test_the_version_changes_with_what_decides_about_alerts(tmp_path: Path) -> None:
    watchlist = tmp_path / "watchlist.yaml"
    watchlist.write_text("topics: []")
    plain = load().config_version
    assert load(kafka={"partitions": 9}).config_version == plain
    assert load(detector={"min_stories": 6}).config_version != plain
    assert load(worker={"negative_from": 0.5}).config_version != plain
    assert load(weights={"wire": 0}).config_version != plain
    with_list = load(watchlist=watchlist).config_version
    watchlist.write_text("topics: [{id: a, match: all}]")
    assert len({plain, with_list, load(watchlist=watchlist).config_version}) == 3


def test_what_is_written_for_a_process_is_read_the_same_and_kept_secret(tmp_path: Path) -> None:
    given = load(
        author_key="s3cret",
        watchlist=tmp_path / "w.yaml",
        delivery={"mode": "direct", "targets": [target("http://127.0.0.1:1/").model_dump()]},
    )
    path = write_settings(given, tmp_path)
    assert load(path).model_dump() == given.model_dump()
    assert path.stat().st_mode & 0o077 == 0
    assert "s3cret" not in repr(given)


@pytest.mark.parametrize(
    ("security", "said"),
    [
        ({"sasl": "SCRAM-SHA-512"}, "needs username and password"),
        ({"sasl": "SCRAM-SHA-512", "username": "u"}, "needs username and password"),
        ({"username": "u", "password": "secret-word"}, "need sasl"),
        ({"sasl": "PLAIN", "username": "u", "password": "secret-word"}, "set tls"),
        ({"tls": True, "certificate_file": "c.pem"}, "go together"),
        ({"ca_file": "ca.pem"}, "need tls"),
    ],
)
def test_security_that_cannot_work_is_refused(security: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        load(kafka={"security": security})
    assert "secret-word" not in str(caught.value)
