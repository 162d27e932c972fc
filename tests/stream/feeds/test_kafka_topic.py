"""What a feed of another Kafka says about TLS and passwords; reading is in tests/integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stream.feeds.kafka_topic import KafkaOptions
from stream.feeds.listing import read_feeds
from tests.secure import authority


def problems(folder: Path, security: str) -> list[str]:
    path = folder / "feeds.yaml"
    path.write_text(
        f"feeds: [{{id: k, type: kafka, bootstrap: 'b:1', topic: t, security: {security}}}]"
    )
    return [problem.reason for problem in read_feeds(path).problems]


def test_files_stand_beside_the_feeds_file(tmp_path: Path) -> None:
    authority(tmp_path, "kafka-ca")
    assert problems(tmp_path, "{tls: true, ca_file: kafka-ca.pem}") == []
    [missing] = problems(tmp_path, "{tls: true, ca_file: other.pem}")
    assert missing.startswith(f"security: {tmp_path}/other.pem cannot be used: ")
    (tmp_path / "empty.pem").write_text("nothing")
    [wrong] = problems(tmp_path, "{tls: true, ca_file: empty.pem}")
    assert wrong.startswith(f"security: {tmp_path}/empty.pem cannot be used: ")


def test_the_password_may_be_a_variable_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "{tls: true, sasl: PLAIN, username: me, password: '${OTHER_PASSWORD}'}"
    [missing] = problems(tmp_path, entry)
    assert missing == ("security names ${OTHER_PASSWORD}, and the environment has no such variable")
    monkeypatch.setenv("OTHER_PASSWORD", "t0p")
    assert problems(tmp_path, entry) == []
    options = KafkaOptions.model_validate(
        {
            **{"id": "k", "type": "kafka", "bootstrap": "b:1", "topic": "t"},
            "security": {
                **{"tls": True, "sasl": "PLAIN", "username": "me"},
                "password": "${OTHER_PASSWORD}",
            },
        }
    )
    given = options.security.client_options()
    assert (given["security_protocol"], given["sasl_plain_password"]) == ("SASL_SSL", "t0p")
    assert "t0p" not in repr(options)


@pytest.mark.parametrize(
    ("security", "says"),
    [
        ("{sasl: PLAIN, username: me, password: x}", "sends the password as it is: set tls"),
        ("{sasl: SCRAM-SHA-512, username: me}", "sasl needs username and password"),
        ("{ca_file: a.pem}", "need tls: true"),
        ("{tls: true, cafile: a.pem}", "unknown key security.cafile; security takes ca_file, "),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, security: str, says: str) -> None:
    [reason] = problems(tmp_path, security)
    assert says in reason


def test_without_security_nothing_is_asked_for() -> None:
    entry: dict[str, Any] = {"id": "k", "type": "kafka", "bootstrap": "b:1", "topic": "t"}
    assert KafkaOptions.model_validate(entry).security.client_options() == {}
