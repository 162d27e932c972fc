"""A real Chromium without a window, driven over a pipe by the DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from select import select
from typing import Any

from tests.servers import eventually, program

TIMEOUT = 20.0


class ScriptError(Exception):
    """A script of the test failed in the page."""


class Pipe:
    """Commands and answers of the protocol; events are kept until somebody asks."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._writing, data) :]
        while True:
            answer = self._read()
            if answer.get("id") != self._number:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise ScriptError(f"{method}: {answer['error']}")
            return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select([self._reading], [], [], TIMEOUT)[0]:
                raise TimeoutError("Chromium does not answer")
            part = os.read(self._reading, 1 << 20)
            if not part:
                raise ConnectionError("Chromium has ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


class Page:
    """One tab."""

    def __init__(self, pipe: Pipe, session: str) -> None:
        self._pipe, self._session = pipe, session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._pipe.call(method, self._session, **params)

    def view(self, width: int, height: int = 900, dark: bool = False, zone: str = "UTC") -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setTimezoneOverride", timezoneId=zone)

    def scripts(self, allowed: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, url: str) -> None:
        self.run("window.__old = true")
        self.call("Page.navigate", url=url)
        self.loaded()

    def loaded(self) -> None:
        """Wait until another document than the one before is there."""
        self.until("!window.__old && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise ScriptError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """The expression's first true value."""

        def true() -> Any:
            try:
                return self.run(script)
            except ScriptError:  # the document may just be going
                return None

        return eventually(true, TIMEOUT, what=script)

    def text(self, selector: str = "main") -> str:
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def focus(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")

    def type(self, selector: str, text: str) -> None:
        """Write into a field as a person does, key by key."""
        self.focus(selector)
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        codes = {"Enter": 13, "Tab": 9}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
                **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}),
            )

    def submit(self, selector: str) -> None:
        """Press Enter in a field, and wait for the page that comes."""
        self.focus(selector)
        self.run("window.__old = true")
        self.press("Enter")
        self.loaded()

    def picture(self, path: Path) -> None:
        """The whole page, however long."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """What the page has had to complain of: scripts that failed, things that were blocked."""
        self.run("1")
        found = []
        for event in self._pipe.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event.get("method") == "Log.entryAdded":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        return found

    def requested(self) -> list[str]:
        """The addresses that were fetched."""
        self.run("1")
        return [
            event["params"]["request"]["url"]
            for event in self._pipe.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


class Browser:
    """A running Chromium."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """A tab with cookies of its own."""
        self._pipe.events.clear()
        context = self._pipe.call("Target.createBrowserContext")["browserContextId"]
        target = self._pipe.call(
            "Target.createTarget", url="about:blank", browserContextId=context
        )["targetId"]
        attached = self._pipe.call("Target.attachToTarget", targetId=target, flatten=True)
        try:
            yield Page(self._pipe, attached["sessionId"])
        finally:
            self._pipe.call("Target.disposeBrowserContext", browserContextId=context)


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Chromium, which talks over two pipes: no port, and no library for it."""
    command = [
        program("chromium", "chromium-browser", "google-chrome", package="chromium"),
        "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder / 'profile'}",
        "--no-first-run",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    to_child, ours_out = os.pipe()
    ours_in, from_child = os.pipe()
    # Chromium reads from descriptor 3 and writes to 4, whatever numbers the pipes have here.
    renumber = f'exec "$@" 3</dev/fd/{to_child} 4>/dev/fd/{from_child}'
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", renumber, "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(to_child, from_child),
            start_new_session=True,
        )
    os.close(to_child)
    os.close(from_child)
    try:
        yield Browser(Pipe(ours_in, ours_out))
    finally:
        os.close(ours_out)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(ours_in)
