"""A headless Chromium, driven over HTTP as the WebDriver standard describes it; nothing needs to be installed for it
but the browser and its driver."""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import urllib.request

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the standard's name for a reference to an element


class Browser:
    """One window; what is done to it has been drawn when a call returns."""

    def __init__(self, address, session):
        self._address, self._session = address, session

    def _ask(self, method, path, body=None):
        return _request(method, f"{self._address}/session/{self._session}/{path}", body)

    def open(self, path):
        """Opens a file and waits until its program has run to its end."""
        self._ask("POST", "url", {"url": path.resolve().as_uri()})
        assert self.run("return document.documentElement.dataset.ready") == "true", self.complaints()

    def run(self, script, *arguments):
        """Runs a function's body, waits for the picture after it, and gives what it returned."""
        body = f"const value = (function () {{ {script} }})(...arguments), done = arguments[arguments.length - 1];"
        waiting = f"{body} requestAnimationFrame(() => requestAnimationFrame(() => done(value)));"
        return self._ask("POST", "execute/async", {"script": waiting, "args": list(arguments)})

    def click(self, selector):
        """Clicks on the first element that a CSS selector finds, as a hand would."""
        found = self._ask("POST", "element", {"using": "css selector", "value": selector})
        self._ask("POST", f"element/{found[ELEMENT]}/click", {})
        self.run("")

    def write(self, selector, text):
        """Writes into a field, key by key."""
        found = self._ask("POST", "element", {"using": "css selector", "value": selector})
        self._ask("POST", f"element/{found[ELEMENT]}/value", {"text": text})
        self.run("")

    def drag(self, start, end):
        """Drags the mouse from one point of the window to another."""
        moves = [{"type": "pointerMove", "duration": 50, "x": round(x), "y": round(y)} for x, y in (start, end)]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, moves[1], {"type": "pointerUp", "button": 0}]
        self._ask("POST", "actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})
        self.run("")

    def complaints(self):
        """What the console says of errors since the last call."""
        return [entry["message"] for entry in self._ask("POST", "se/log", {"type": "browser"})]

    def picture(self):
        """The window as the bytes of a PNG file, in base64."""
        return self._ask("GET", "screenshot")


def _request(method, url, body=None):
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(json.load(error)["value"]["message"]) from None


@contextlib.contextmanager
def browsing(width=1280, height=900):
    """A browser whose pages are as wide as told; it and its driver end with the block."""
    driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = next(
            found[1] for found in (re.search(r"successfully on port (\d+)", line) for line in driver.stdout) if found
        )
        address = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryDirectory() as profile:
            options = {
                "binary": CHROMIUM,
                "args": [*FLAGS, f"--user-data-dir={profile}"],
                "mobileEmulation": {
                    "deviceMetrics": {"width": width, "height": height, "pixelRatio": 1, "touch": False}
                },
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            session = _request("POST", f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            try:
                yield Browser(address, session)
            finally:
                _request("DELETE", f"{address}/session/{session}")
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()
