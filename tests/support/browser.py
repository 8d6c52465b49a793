"""A real browser for testing pages, controlled with the standard library only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


class Browser:
    """Headless Chromium, controlled by the DevTools protocol over a pipe."""

    def __init__(self, folder: Path) -> None:
        outward, inward = os.pipe(), os.pipe()
        # Chromium reads from 3 and writes to 4. Start from higher numbers, so that `dup2` overwrites neither end.
        ends = [fcntl(end, F_DUPFD_CLOEXEC, 10) for end in (outward[0], inward[1])]
        placed = (
            "import os, sys; [os.dup2(int(sys.argv[at]), at + 2) for at in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
        )
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        flags += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run", "--window-size=1200,1600"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", placed, *map(str, ends), CHROMIUM or "", *flags, "about:blank"],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (*ends, outward[0], inward[1]):
            os.close(end)
        self.to, self.back = os.fdopen(outward[1], "wb", buffering=0), os.fdopen(inward[0], "rb")
        self.number, self.session = 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path) -> None:
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page, as JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _centre(self, selector: str) -> tuple[float, float]:
        element = f"const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
        box = "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2];"
        x, y = self.value(f"(() => {{ {element} {box} }})()")
        return x, y

    def point(self, selector: str) -> None:
        x, y = self._centre(selector)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        x, y = self._centre(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13, "Escape": 27}[key]
            text = {"text": "\r"} if (key, kind) == ("Enter", "keyDown") else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def complaints(self) -> list[dict[str, Any]]:
        """Return console messages, exceptions and violations of the content security policy."""
        return [
            event
            for event in self.events
            if event["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        ]

    def requests(self) -> list[str]:
        """Return the requested URLs, without the page itself."""
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent if one.get("type") != "Document"]

    def close(self) -> None:
        self.session = ""
        self.call("Browser.close")
        self.process.wait(timeout=30)
        self.to.close()
        self.back.close()

    def _read(self) -> dict[str, Any]:
        found = bytearray()
        while (char := self.back.read(1)) != b"\0":
            assert char, "the browser has exited"
            found += char
        answer: dict[str, Any] = json.loads(found)
        return answer
