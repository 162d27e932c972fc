"""A page of the documentation as a newcomer follows it: files written, commands run, output seen.

What is not plain prose on such a page is a fenced block. ``sh`` is run by bash, and must succeed;
``text`` after it is what it prints: lines that come in this order, where ``…`` stands for anything
and a figure for any figure. A comment before a block says more:

* ``<!-- file: NAME -->``: the block is written to that file;
* ``<!-- until: TEXT Then Ctrl-C -->``: it goes on, and is stopped when it has printed that;
* ``<!-- stays, after: TEXT -->``: likewise, but it goes on until the end of the page.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.servers import ROOT, eventually

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>.*?) -->\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
START_SECONDS = 420.0


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    mark: str = ""
    before: str = ""
    """the prose since the block before"""


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page; AssertionError where one is not understood."""
    assert page.count("\n```") == 2 * len(BLOCK.findall(page))
    end = 0
    for found in BLOCK.finditer(page):
        yield Block(found["kind"], found["text"], found["mark"] or "", page[end : found.start()])
        end = found.end()


def matches(line: str, printed: str) -> bool:
    """Whether a line of the page stands for one that was printed."""
    pattern = "".join(
        ".*" if part == "…" else kind if (kind := _figures(part)) else re.escape(part)
        for part in re.split(r"(…|\b[0-9a-f]{12,}\b|\d+)", line.rstrip())
    )
    return re.fullmatch(pattern, printed.rstrip()) is not None


def _figures(part: str) -> str:
    """What a number, or the hexadecimal digits of an id, may be here."""
    if part.isdecimal():
        return r"\d+" if len(part) < 12 else "[0-9a-f]+"
    return "[0-9a-f]+" if re.fullmatch("[0-9a-f]{12,}", part) else ""


def missing(expected: str, printed: str) -> list[str]:
    """The first line that was not printed after those before it, if there is one."""
    left = iter(printed.splitlines())
    for line in expected.splitlines():
        if not any(matches(line, other) for other in left):
            return [line]
    return []


def clone(folder: Path) -> None:
    """What a fresh clone has after ``make install``: this tree, and this Python's environment."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith((".", "build")):
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith((".light", ".test")):
            (folder / ".venv" / entry.name).symlink_to(entry)
    (folder / ".venv" / ".light").touch()


@dataclass
class Running:
    """A command that goes on."""

    command: str
    process: subprocess.Popen[bytes]
    log: Path

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        def there() -> bool:
            status = self.process.poll()
            if status is not None:
                raise RuntimeError(f"{self.command} ended with {status}:\n{self.printed()}")
            return text in self.printed()

        eventually(there, START_SECONDS, what=f"{text!r} of {self.command}")

    def interrupt(self) -> None:
        """Ctrl-C, which a terminal sends to all of the foreground."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)


@dataclass
class Visit:
    """One walk through a page, in a folder."""

    folder: Path
    replaced: dict[str, str] = field(default_factory=dict)
    """words of the page, and what stands for them here: addresses and ports"""
    background: list[Running] = field(default_factory=list)
    printed: str = ""
    """by the newest command"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for running in reversed(self.background):
            running.interrupt()
            if error[0] is not None:
                print(f"--- {running.command}\n{running.printed()[-3000:]}")

    def here(self, text: str) -> str:
        for there, here in self.replaced.items():
            text = text.replace(there, here)
        return text

    def do(self, block: Block) -> None:
        """Write the file, run the command, or compare what it has printed."""
        text = self.here(block.text)
        match block.kind, *block.mark.partition(": "):
            case "text", "", _, _:
                assert missing(text, self.printed) == [], self.printed
            case _, "file", _, name:
                (self.folder / name).write_text(text)
            case "sh", "", _, _:
                done = subprocess.run(["bash", "-euc", text], **self._how(), timeout=240)
                self.printed = done.stdout.decode()
                assert done.returncode == 0, self.printed
            case "sh", "until", _, what:
                with self._started(text) as running:
                    running.wait_for(what.removesuffix(" Then Ctrl-C"))
            case "sh", "stays, after", _, what:
                self.background.append(self._start(text))
                self.background[-1].wait_for(what)
                self.printed = self.background[-1].printed()
            case _:
                raise AssertionError(f"a block that nobody is told what to do with: {block}")

    @contextmanager
    def _started(self, command: str) -> Iterator[Running]:
        running = self._start(command)
        try:
            yield running
        finally:
            running.interrupt()
            self.printed = running.printed()

    def _start(self, command: str) -> Running:
        log = self.folder / f".log-{len(list(self.folder.glob('.log-*')))}"
        with log.open("wb") as out:
            how = self._how() | {"stdout": out}
            process = subprocess.Popen(
                ["bash", "-euc", f"exec {command}"], start_new_session=True, **how
            )
        return Running(command, process, log)

    def _how(self) -> dict[str, object]:
        return {
            "cwd": self.folder,
            "env": environment(),
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }


def environment() -> Mapping[str, str]:
    """That of a newcomer: nothing of Barograph's, and no make around it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BAROGRAPH_", "MAKE", "MFLAGS"))
    }
    return {**kept, "PYTHONPATH": str(ROOT)}
