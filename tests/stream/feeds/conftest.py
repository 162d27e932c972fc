from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stream.feeds.web import Web, web_server


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server that answers as the test says."""
    with web_server() as server:
        yield server
