"""Pairs, records and results to test listening with, and a browser to do it in."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from subterfuge.audio import Clip
from subterfuge.outcome import outcome_path
from subterfuge.report.listening import FORMAT, page
from subterfuge.report.pairs import Pair, pair_of
from subterfuge.report.trials import Design, design

RATE = 8000
SECONDS = 0.1
SHORT = design(trials=6)


def wave(seed: int = 0, channels: int = 1, rate: int = RATE, seconds: float = SECONDS) -> NDArray[np.float64]:
    """Noise of a level of -20 dB, shape (C, T)."""
    return 0.1 * np.random.default_rng(seed).normal(size=(channels, round(rate * seconds))).clip(-4, 4)


def sounds(seed: int = 0, *, subtype: str = "PCM_16", change: float = 0.02, name: str = "clip", **shape: Any) -> Pair:
    """A pair of clips whose change is other noise, as part of full scale."""
    clean = wave(2 * seed, **shape)
    changed = clean + change / 0.1 * wave(2 * seed + 1, **shape)
    rate = int(shape.get("rate", RATE))
    clip, file = (Clip.of(one, rate, subtype=subtype, name=name) for one in (clean, changed))
    return pair_of(clip, file, goal="low -> high")


def won(folder: Path, *, seed: int = 0, clean: Any = None, changed: Any = None, rate: int = RATE, **more: Any) -> Path:
    """Write a clip, an attacked file and its record into a folder, as an attack does; give the record."""
    folder.mkdir(parents=True, exist_ok=True)
    clip, file = folder / f"clip{seed}.wav", folder / f"clip{seed}-to-high.wav"
    before = wave(2 * seed) if clean is None else clean
    after = before + 0.2 * wave(2 * seed + 1) if changed is None else changed
    soundfile.write(clip, before.T, rate)
    soundfile.write(file, after.T, more.pop("file_rate", rate))
    sha256 = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (clip, file)}
    record = {
        "schema": 1,
        "won": True,
        "goal": "targeted",
        "target": "high",
        "predicted_before": "low",
        "file": str(file),
        "file_sha256": sha256[file],
        "clip": {"name": clip.stem, "path": str(clip), "sha256": sha256[clip]},
        "victim": {"name": "bands", "fingerprint": "0", "card": None},
    }
    place = outcome_path(file)
    place.write_text(json.dumps(record | more), encoding="utf-8")
    return place


def write_page(folder: Path, pairs: Sequence[Pair], plan: Design = SHORT) -> Path:
    """Write a page into a folder of its own."""
    place = folder / f"page-{len(list(folder.iterdir()))}.html"
    place.write_text(page(pairs, plan)[0], encoding="utf-8")
    return place


def results(test: dict[str, Any], *runs: dict[str, Any]) -> dict[str, Any]:
    """What a page saves."""
    return {"format": FORMAT, "schema": 1, "test": test, "runs": list(runs)}


def run(
    test: dict[str, Any], right: Sequence[int], *, listener: str = "", id: str = "0", complete: bool = True
) -> dict[str, Any]:
    """A run with so many right answers of each pair."""
    n = test["settings"]["trials"]
    trials = [
        {"pair": pair, "trial": k + 1, "x": "AB"[k % 2], "answer": "AB"[(k + (k >= count)) % 2], "right": k < count}
        for pair, count in enumerate(right)
        for k in range(n)
    ]
    told = [one | {"seconds": 2.5, "switches": 3} for one in trials]
    return {"id": id, "listener": listener, "started": "2026-01-01T00:00:00Z", "complete": complete, "trials": told}


TAP = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    window.tap = this.context.createAnalyser();
    window.tap.fftSize = 32768;
    connect.call(this, window.tap);
  }
  return connect.call(this, to, ...rest);
};
"""
"""Listens to what goes to the loudspeakers, from outside the page's own code."""

KEY = """
window.key = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
"""

FREEZE = """
const Real = Date;
window.Date = class extends Real { constructor(...all) { super(...(all.length ? all : [0])); } };
performance.now = () => 0;
"""

NO_STORAGE = """
Object.defineProperty(window, "localStorage", { get() { throw new DOMException("denied", "SecurityError"); } });
"""


class Browser:
    """A real browser without a window; a page is told from outside what to do, and looked at from outside."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads
        self._scripts: list[str] = []

    def open(self, path: Path, *scripts: str) -> None:
        """Open a page; the scripts run before its own."""
        for old in self._scripts:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": old})
        added = (
            self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": f"(() => {{{script}}})();"})
            for script in (TAP, KEY, *scripts)
        )
        self._scripts = [one["identifier"] for one in added]
        self.driver.get(path.as_uri())

    def reload(self) -> None:
        """Load the page again, as someone does who comes back after a while."""
        stored = "return JSON.stringify(Object.entries(localStorage).sort())"
        kept = self.js(stored)
        for _ in range(20):
            self._refresh()
            if self.js(stored) == kept:
                return
            # What a page keeps goes through another process before the next page can read it.
            time.sleep(0.25)
        raise AssertionError(f"the page kept {kept}, and this came back: {self.js(stored)}")

    def _refresh(self) -> None:
        """Load the page again; the driver may say that it is done before it has happened."""
        self.js("window.before = true")
        self.driver.refresh()
        for _ in range(400):
            if self.js("return window.before === undefined && document.readyState === 'complete'"):
                return
            time.sleep(0.05)
        raise AssertionError("the page did not come again")

    def js(self, code: str, *values: Any) -> Any:
        """Run a script and give what it returns."""
        return self.driver.execute_script(code, *values)

    def keys(self, *keys: str) -> None:
        """Press keys, as a person would."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        """Click something."""
        self.driver.find_element("css selector", selector).click()

    def text(self, selector: str) -> str:
        """What is shown there."""
        return str(self.driver.find_element("css selector", selector).text)

    def shown(self, selector: str) -> bool:
        """Whether it is shown."""
        return bool(self.driver.find_element("css selector", selector).is_displayed())

    def heard(self, samples: int, *, after: float = 0.0) -> NDArray[np.float64]:
        """The last samples that went to the loudspeakers, once so many seconds have passed."""
        time.sleep(after)
        code = (
            "const all = new Float32Array(32768); tap.getFloatTimeDomainData(all); return [...all.slice(-arguments[0])]"
        )
        return np.array(self.js(code, samples))

    def begin(self, listener: str = "") -> None:
        """Begin a run, and its first trial."""
        self.js("document.querySelector('#listener').value = arguments[0]", listener)
        self.click("#begin button")
        self.keys("\ue007")

    def saved(self, kind: str = "json") -> Path:
        """Save the results by the button that is shown; give the file."""
        before = set(self.downloads.iterdir())
        shown = [one for one in self.driver.find_elements("css selector", f"button.{kind}") if one.is_displayed()]
        assert len(shown) == 1, self.text("main")
        shown[0].click()
        for _ in range(400):
            # Chromium holds the name with an empty file, writes beside it, and renames: what has a size is whole.
            new = [path for path in set(self.downloads.iterdir()) - before if path.suffix == f".{kind}"]
            if new and new[0].stat().st_size:
                return new[0]
            time.sleep(0.05)
        raise AssertionError(f"no {kind} came")


def answer_all(browser: Browser, decide: Callable[[], str]) -> None:
    """Go through a run that has begun, with the answer, "1" or "2", that `decide` gives when X plays."""
    while not browser.shown("#done"):
        if browser.shown("#answer"):
            browser.keys("x")
            browser.keys(decide(), "\ue007")
        else:
            browser.keys("\ue007")
