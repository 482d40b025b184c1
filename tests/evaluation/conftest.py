"""A case with known mistakes, and a browser that is driven over two pipes, without anything else installed."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from keras_unet3d.annotation import LabelScheme
from keras_unet3d.evaluation.case_view import CaseView, steps_of_uncertainty
from keras_unet3d.volumes import Grid

SCHEME = LabelScheme((0, 1, 2), ("background", "<cell>", "nucleus"), ((0, 0, 0), (255, 200, 0), (210, 30, 100)))


@pytest.fixture
def case():
    """x=16 y=12 z=8 voxels of x=1 y=1 z=2 µm with a block of cells.

    In plane z=3 four voxels are missed, two are too much, and one is taken for another class. The second channel is
    dark. The model is least sure in plane z=5.
    """
    shape = (8, 12, 16)
    truth = np.zeros(shape, np.int16)
    truth[2:6, 3:9, 4:12] = 1
    found = truth.copy()
    found[3, 3, 4:8] = 0
    found[3, 10, 4:6] = 1
    found[3, 5, 5] = 2
    unsure = np.zeros(shape, np.float32)
    unsure[5] = 0.5
    unsure[3, 3, 4:8] = 1.0
    image = np.stack([truth + np.random.default_rng(0).random(shape), np.zeros(shape)], axis=-1).astype(np.float32)
    grid = Grid(shape, (2.0, 1.0, 1.0), unit="µm")
    return CaseView(
        "a <case>", image, grid, ("one", "two"), SCHEME, found, truth, uncertainty=steps_of_uncertainty(unsure)
    )


class Browser:
    """A page in headless Chromium, by the DevTools protocol on file descriptors 3 and 4.

    Attributes:
        events: what the page has told since it was opened.
    """

    FLAGS = (
        "--headless=new",
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--ignore-gpu-blocklist",
        "--hide-scrollbars",
        "--no-first-run",
        "--remote-debugging-pipe",
    )

    def __init__(self, program, folder):
        (to_read, self._to), (self._from, to_write) = os.pipe(), os.pipe()
        begin = (
            "import os, sys\n"
            "ends = [os.dup(int(end)) for end in sys.argv[1:3]]\n"
            "for place, end in enumerate(ends, 3): os.set_inheritable(os.dup2(end, place), True)\n"
            "os.execv(sys.argv[3], sys.argv[3:])"
        )
        chromium = [program, *self.FLAGS, f"--user-data-dir={folder}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", begin, str(to_read), str(to_write), *chromium],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._asked, self._unread, self._session, self.events = 0, b"", None, []
        pages = []
        while not pages:
            pages = [each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"]
        attached = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._asked:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self):
        while b"\0" not in self._unread:
            part = os.read(self._from, 1 << 16)
            assert part, "the browser has gone"
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def open(self, path, fragment="", *, width=1000, height=800, javascript=True, **features):
        """Open a file, in a window of a size, with media features such as ``prefers_color_scheme="dark"``."""
        self.call("Page.navigate", url="about:blank")
        self.call("Emulation.setScriptExecutionDisabled", value=not javascript)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        media = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media="", features=media)
        self.events = []
        self.call("Page.navigate", url=path.as_uri() + fragment)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script):
        """The value of a script in the page."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition, seconds=40):
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"never: {condition}; {self.complaints}"
            time.sleep(0.05)

    def picture(self):
        """What the window shows, ``(row, column, 3)``."""
        shot = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    @property
    def complaints(self):
        """Everything on the console, errors that nobody caught, and what the policy refused."""
        shown = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event for event in self.events if event["method"] in shown]

    @property
    def requests(self):
        """What the page asked for, but for what it holds."""
        asked = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [url for event in asked if not (url := event["params"]["request"]["url"]).startswith("data:")]

    def close(self):
        self.call("Browser.close")
        self._process.wait(timeout=20)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium here")
    browser = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
