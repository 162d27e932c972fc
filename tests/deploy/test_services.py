"""Compose's services, started in its order with its environment, on a real Kafka and PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from stream.broker import free_port
from stream.settings import Topics
from tests import servers
from tests.deploy.test_container import DEPLOY, SECRETS, SERVICES, environment
from tests.servers import answers, running

pytestmark = pytest.mark.server

PROCESSES = ("worker", "recorder", "desk", "feed")


class Compose:
    """Runs the services here: only addresses, and the folder of the settings, are others."""

    def __init__(self, kafka: str, database: str, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in PROCESSES}
        config = folder / "config"
        config.mkdir()
        for path in (DEPLOY / "config").iterdir():
            text = path.read_text().replace("/etc/barograph", str(config))
            # No test asks anybody else's server: this address answers nothing.
            text = text.replace("https://www.sec.gov", "http://127.0.0.1:1")
            (config / path.name).write_text(text)
        self._here = {
            "BAROGRAPH_CONFIG": str(config / "settings.yaml"),
            "BAROGRAPH_KAFKA__BOOTSTRAP": kafka,
            "BAROGRAPH_DATABASE_URL": database,
        }
        # Other tests use the same Kafka.
        mine = f"t{uuid.uuid4().hex[:12]}"
        self._apart = {
            **{f"BAROGRAPH_HTTP__{n.upper()}_PORT": str(p) for n, p in self.ports.items()},
            **{
                f"BAROGRAPH_KAFKA__TOPICS__{name.upper()}": f"{mine}.{name.replace('_', '-')}"
                for name in Topics.model_fields
            },
            "BAROGRAPH_KAFKA__APP_ID": mine,
        }

    def variables(self, service: str) -> dict[str, str]:
        given = environment(SERVICES[service])
        assert set(self._here) <= set(given)
        assert not set(self._apart) & set(given)
        return {**os.environ, **given, **self._here, **self._apart}

    def command(self, service: str) -> list[str]:
        words = [
            word.replace("/etc/barograph", str(self.folder / "config")).replace(
                "/var/lib/barograph", str(self.folder)
            )
            for word in SERVICES[service]["command"]
        ]
        return [sys.executable, "-m", "stream.cli", *words]

    def once(self, service: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(service),
            env=self.variables(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def up(self, service: str) -> Iterator[str]:
        """The service, once it is ready and its health check says so; its address."""
        folder = self.folder / service
        folder.mkdir()
        url = f"http://127.0.0.1:{self.ports[service]}"
        variables = self.variables(service)
        with running(
            self.command(service),
            lambda: answers(f"{url}/readyz"),
            folder,
            timeout=120,
            environment=variables,
        ):
            # A container has no other's ports.
            alone = {
                f"BAROGRAPH_HTTP__{name.upper()}_PORT": "1" for name in PROCESSES if name != service
            }
            check = [sys.executable, str(DEPLOY / "healthcheck.py")]
            done = subprocess.run(check, env={**variables, **alone}, check=False)
            assert done.returncode == 0
            yield url


def test_the_services_start_and_let_in_whoever_has_a_token(
    kafka: servers.Kafka, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(servers.ROOT))
    compose = Compose(kafka.bootstrap, postgres_url, tmp_path)
    refused = compose.once("desk")
    assert refused.returncode == 2
    assert "barograph tokens create" in refused.stderr
    made = compose.once("first-token")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    topics = compose.once("topics")
    assert topics.returncode == 0, topics.stderr
    with ExitStack() as stack:
        for service in PROCESSES:
            stack.enter_context(compose.up(service))
        desk = f"http://127.0.0.1:{compose.ports['desk']}"
        assert httpx.get(f"{desk}/api/v1/topics").status_code == 401
        bearer = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{desk}/api/v1/topics", headers=bearer).status_code == 200
        # Alertmanager's way in, with the secret that it reads from its file.
        relay = {"Authorization": f"Bearer {SECRETS['RELAY_TOKEN']}"}
        body = {"version": "4", "groupKey": "x", "status": "firing", "alerts": []}
        assert httpx.post(f"{desk}/api/v1/alertmanager", json=body).status_code == 401
        answer = httpx.post(f"{desk}/api/v1/alertmanager", json=body, headers=relay)
        assert answer.status_code < 400, answer.text
