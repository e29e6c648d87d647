"""A headless Chromium driven through its own pipe: JSON on two file descriptors, no package needed.

Source: https://chromedevtools.github.io/devtools-protocol/ and the switch --remote-debugging-pipe:
the browser reads commands from descriptor 3 and writes answers and events to 4, each ended by a
zero byte.
"""

import json
import os
import shutil
import subprocess

NAME = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
QUIET = (
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
)


class Page:
    """One page in a browser of its own, for use in a `with`.

    `complaints` holds what was written to the console and every exception that nobody caught.
    """

    def __init__(self, folder):
        to_read, self.to_write = os.pipe()
        self.to_read, to_write = os.pipe()
        switches = " ".join(
            f"--{name}" for name in (*QUIET, "headless", "no-sandbox", "disable-sync")
        )
        command = (
            f"exec {NAME} {switches} --remote-debugging-pipe '--user-data-dir={folder}' about:blank"
        )
        self.browser = subprocess.Popen(
            ["bash", "-c", f"{command} 3<&{to_read} 4>&{to_write} 2>/dev/null"],
            pass_fds=(to_read, to_write),
        )
        os.close(to_read)
        os.close(to_write)
        self.complaints, self.sent, self.session, self.rest = [], 0, None, b""
        target = next(
            t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page"
        )["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self.to_write)
        os.close(self.to_read)
        self.browser.kill()
        self.browser.wait()

    def open(self, path, *, width=1100, dark=False):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1000,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.ask("Page.navigate", url=path.as_uri())
        while self.receive().get("method") != "Page.loadEventFired":
            pass

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key, text=""):
        """One key, as a keyboard sends it."""
        codes = {"Tab": 9, "Enter": 13}
        values = {"key": key, "windowsVirtualKeyCode": codes.get(key, 0), "text": text}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **values)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **values)

    def type(self, text):
        for letter in text:
            self.press(letter, letter)

    def ask(self, method, **values):
        self.sent += 1
        question = {"id": self.sent, "method": method, "params": values}
        if self.session:
            question["sessionId"] = self.session
        os.write(self.to_write, json.dumps(question).encode() + b"\0")
        while (reply := self.receive()).get("id") != self.sent:
            pass
        assert "error" not in reply, reply
        return reply["result"]

    def receive(self):
        while b"\0" not in self.rest:
            read = os.read(self.to_read, 65536)
            assert read, "the browser has gone"
            self.rest += read
        message, _, self.rest = self.rest.partition(b"\0")
        event = json.loads(message)
        if event.get("method") in (
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
        ):
            self.complaints.append(event["params"])
        return event
