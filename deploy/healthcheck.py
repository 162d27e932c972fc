"""Whether the process of this container answers: a container runs one, on its own port."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

from stream.settings import load


def main() -> int:
    """0 when a process answers ``/healthz`` on one of the ports of the settings, else 1."""
    http = load().http
    for port in (http.worker_port, http.recorder_port, http.feed_port, http.desk_port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=3):
                return 0
        except (urllib.error.URLError, OSError):
            continue
    return 1


if __name__ == "__main__":
    sys.exit(main())
