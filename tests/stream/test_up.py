from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream.stalls import EXIT_STALLED
from stream.up import Child, UpError
from tests.servers import eventually


class Ending(Child):
    """Ends at its first start with the status that is its name, and stays the second time."""

    starts = 0

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        self._log.write_text(f"the settings are wrong, says {self.name}\n")
        code = (
            "import signal; signal.pause()" if self.starts > 1 else f"raise SystemExit({self.name})"
        )
        return subprocess.Popen([sys.executable, "-c", code])


def test_a_worker_that_could_not_read_its_tables_is_started_anew(tmp_path: Path) -> None:
    child = Ending(str(EXIT_STALLED), tmp_path / "settings.yaml", tmp_path)

    def was_started_again() -> bool:
        child.supervise()
        return child.starts == 2

    try:
        eventually(was_started_again)
        child.check()
    finally:
        child.stop()


def test_any_other_end_is_an_error_with_the_last_lines(tmp_path: Path) -> None:
    child = Ending("2", tmp_path / "settings.yaml", tmp_path)

    def supervised_until_it_ends() -> bool:
        child.supervise()
        return False

    with pytest.raises(UpError, match=r"ended with status 2:\n  the settings are wrong, says 2"):
        eventually(supervised_until_it_ends)
    assert child.starts == 1
