from __future__ import annotations

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from stream.health import HealthServer


def test_health_readiness_and_metrics() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)
    checks = {"broker": False, "model": True}
    server = HealthServer("127.0.0.1", 0, registry, lambda: checks)
    url = f"http://127.0.0.1:{server.port}"
    try:
        assert httpx.get(f"{url}/healthz").text == "alive\n"
        answer = httpx.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()) == (503, checks)
        checks["broker"] = True
        assert httpx.get(f"{url}/readyz?verbose").status_code == 200
        assert "things_total 3.0" in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/").status_code == 404
        with pytest.raises(OSError, match="in use"):
            HealthServer("127.0.0.1", server.port, registry, lambda: checks)
    finally:
        server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")
