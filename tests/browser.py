"""Chromium without a window, driven through its DevTools protocol; for the tests of pages."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=MediaRouter,OptimizationHints",
    "--no-proxy-server",
)


class Browser:
    """One page of a Chromium of its own.

    Attributes
    ----------
    requests : list of str
        The addresses of all that the page asked for.
    errors : list of str
        Exceptions and refusals that the browser noted.
    """

    def __init__(self, folder, *flags):
        """`folder`: for the browser's profile and the user's home."""
        command = [PROGRAM, *FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        if hasattr(os, "geteuid") and not os.geteuid():
            command.insert(1, "--no-sandbox")  # whose rights root has none to give
        self.requests, self.errors = [], []
        self.numbers, self.loop = itertools.count(1), asyncio.new_event_loop()
        env = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            file, end = folder / "profile" / "DevToolsActivePort", time.monotonic() + 120
            while not (file.exists() and file.read_text().count("\n")):
                assert self.process.poll() is None and time.monotonic() < end, "Chromium did not start"
                time.sleep(0.1)
            port = file.read_text().split("\n")[0]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            pages = json.load(opener.open(f"http://127.0.0.1:{port}/json/list", timeout=60))
            address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            self.socket = self.loop.run_until_complete(self.connect(address))
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    @staticmethod
    async def connect(address):
        from tornado.websocket import websocket_connect

        return await websocket_connect(address, max_message_size=2**28)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.loop.close()

    def call(self, method, **params):
        """What Chromium answers to a command; events on the way are noted."""
        return self.loop.run_until_complete(asyncio.wait_for(self.talk(method, params), 60))

    async def talk(self, method, params):
        number = next(self.numbers)
        await self.socket.write_message(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(await self.socket.read_message())
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.note(message.get("method"), message.get("params"))

    def note(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])

    def run(self, script):
        """The value of an expression of JavaScript, awaited."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, (script, done["exceptionDetails"])
        return done["result"].get("value")

    def wait(self, script, seconds=60):
        """The value of an expression once it is true of the page."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, (script, self.run("document.body.innerText"), self.errors)
            time.sleep(0.1)
        return value

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait(f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'")

    def choose(self, selector, path):
        """Give a file to an input as the user's choice in the browser's dialog."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def press(self, key, code):
        """A key that the user presses; `code` is its number for Windows."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def look(self, width, height, scheme="light", mobile=False):
        """Show the page on a screen of so many pixels, light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def shot(self, path):
        """Write a PNG of the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def browse(folder, *flags):
    """A browser for the block."""
    browser = Browser(folder, *flags)
    try:
        yield browser
    finally:
        browser.close()
