"""A headless Chromium that is driven through its pipe: no port, no further package.

``with Browser(path) as browser`` opens a page from its file and keeps what it logs and requests.
The protocol is Chrome's DevTools protocol: JSON messages that end with a zero byte, written to the
browser's file descriptor 3 and read from 4.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
PATIENCE_S = 60
_OPTIONS = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run".split()
_KEY_CODES = {"Home": 36, "End": 35, "ArrowUp": 38, "ArrowDown": 40, "ArrowRight": 39, "o": 79}


class Browser:
    """One page in one browser.

    Attributes:
        problems: what the console said, as warnings or worse, and what the page's script threw.
        requests: addresses that were asked for.
    """

    def __init__(self, page: Path):
        self.page = page.resolve().as_uri()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._id, self._rest = 0, b""

    def __enter__(self) -> Browser:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        command = [CHROMIUM, *_OPTIONS, "--remote-debugging-pipe", "about:blank"]
        command.append(f"--user-data-dir={self._profile.name}")

        def connect() -> None:
            # First out of the way: one of them may be 3 or 4 itself.
            high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
            for end, number in zip(high, (3, 4), strict=True):
                os.dup2(end, number)

        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, preexec_fn=connect, close_fds=False, stdin=quiet, stdout=quiet, stderr=quiet
        )
        os.close(theirs_in)
        os.close(theirs_out)
        targets = self._send("Target.getTargets", session=None)["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        attached = self._send("Target.attachToTarget", session=None, targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)
        self._profile.cleanup()

    def open(self, *, width: int = 1200, height: int = 900, ready: str = "true") -> None:
        """Load the page in a window of a size, and wait until an expression is true."""
        self.resize(width, height)
        self._send("Page.navigate", url=self.page)
        deadline = time.monotonic() + PATIENCE_S
        ready = f"document.readyState === 'complete' && ({ready})"
        while not self.evaluate(ready):
            assert time.monotonic() < deadline, f"never true: {ready}; {self.problems}"
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1}
        self._send("Emulation.setDeviceMetricsOverride", mobile=width < 500, **sizes)

    def as_paper(self, *, printed: bool) -> None:
        """Lay the page out as for a printer, or as for a screen."""
        self._send("Emulation.setEmulatedMedia", media="print" if printed else "")

    def evaluate(self, expression: str):
        """The value of an expression in the page."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        code = {"key": key, "code": key, "windowsVirtualKeyCode": _KEY_CODES[key]}
        text = {"text": key} if len(key) == 1 else {}
        self._send("Input.dispatchKeyEvent", type="keyDown", **code, **text)
        self._send("Input.dispatchKeyEvent", type="keyUp", **code)

    def wheel(self, selector: str, delta: int) -> None:
        """Turn the wheel over the middle of an element."""
        x, y = self._middle(selector)
        turn = {"deltaX": 0, "deltaY": delta}
        self._send("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, **turn)

    def swipe(self, selector: str, pixels: int) -> None:
        """Move a finger to the right over the middle of an element, in two steps."""
        x, y = self._middle(selector)
        kinds = ("touchStart", "touchMove", "touchMove", "touchEnd")
        places = ([x], [x + pixels // 2], [x + pixels], [])
        for kind, place in zip(kinds, places, strict=True):
            points = [{"x": at, "y": y} for at in place]
            self._send("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def _middle(self, selector: str) -> list[float]:
        return self.evaluate(
            f"(() => {{ const element = document.querySelector({selector!r});"
            "element.scrollIntoView({block: 'center'}); const r = element.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        answer = self._send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _send(self, method: str, session: object = True, **params: object) -> dict:
        self._id += 1
        message = {"id": self._id, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._id:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._keep(answer)

    def _read(self) -> dict:
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 16)
            assert part, "the browser has ended"
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _keep(self, event: dict) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith("data:") and url not in (self.page, "about:blank"):
                self.requests.append(url)
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.problems.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error"):
            self.problems.append(json.dumps(params["args"])[:500])
