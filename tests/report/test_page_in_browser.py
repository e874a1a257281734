"""The listening page in a real browser: blind, exact, in step, and harmless."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, chisquare
from tests.report.kit import FREEZE, NO_STORAGE, RATE, Browser, answer_all, sounds, write_page
from tests.world import run as command

from subterfuge.report.pairs import Pair
from subterfuge.report.pooling import pool
from subterfuge.report.results import read_results
from subterfuge.report.trials import design

ENTER = "\ue007"

# what it measures

GUESS = """
for (let i = 0; i < 100; i += 1) {
  document.querySelector("#listener").value = "";
  document.querySelector("#begin button").click();
  while (document.querySelector("#done").hidden) {
    key("x");
    key(String(CHOICE));
    key("Enter");
  }
  document.querySelector("#again").click();
}
"""


def test_right_answers_of_who_guesses_follow_the_binomial_law(browser: Browser, tmp_path: Path) -> None:
    plan = design()
    browser.open(write_page(tmp_path, [sounds(1)], plan))
    browser.js(GUESS.replace("CHOICE", "1 + (Math.random() < 0.5)"))
    browser.js(GUESS.replace("CHOICE", "1"))  # who always says A is right as often as X is A
    content = json.loads(browser.saved().read_text())
    runs = content["runs"]
    assert len(runs) == len({one["id"] for one in runs}) == 200
    rights = [sum(trial["right"] for trial in one["trials"]) for one in runs]
    edges = [-1, 6, 7, 8, 9, 10, 11, plan.trials]
    seen = np.histogram(rights, np.array(edges) + 0.5)[0]
    law = np.diff(binom.cdf(edges, plan.trials, 0.5))
    assert chisquare(seen, 200 * law).pvalue > 1e-6
    passed = sum(right >= plan.needed for right in rights)
    assert binomtest(passed, 200, plan.guesses_pass).pvalue > 1e-6
    x = [[trial["x"] == "A" for trial in one["trials"]] for one in runs]
    changes = int(np.sum(np.diff(np.array(x, dtype=int), axis=1) != 0))
    assert binomtest(changes, 200 * (plan.trials - 1)).pvalue > 1e-6  # a trial tells nothing of the next
    assert binomtest(int(np.sum(x)), 200 * plan.trials).pvalue > 1e-6


def spectrum(period: NDArray[np.float64]) -> NDArray[np.float64]:
    """What of a loop's period does not depend on where it was caught."""
    return np.abs(np.fft.rfft(period))


def test_who_decides_by_what_is_played_is_always_right(browser: Browser, tmp_path: Path) -> None:
    pair = sounds(2, change=0.005)
    period = pair.clip.shape[1]
    browser.open(write_page(tmp_path, [pair], design()))
    browser.click("#begin button")
    known = []
    for letter in "ab":
        browser.keys(letter)
        known.append(spectrum(browser.heard(period, after=0.2)))
    browser.keys(ENTER)

    def decide() -> str:
        heard = spectrum(browser.heard(period, after=0.16))
        distances = [float(np.linalg.norm(heard - one)) for one in known]
        assert min(distances) < 0.01 * max(distances)
        return "12"[int(np.argmin(distances))]

    answer_all(browser, decide)
    assert "18 of 18 right, p = 3.8e-6" in browser.text("#results")
    assert "Heard." in browser.text("#results")


def test_statistics_in_the_page_are_those_of_scipy(browser: Browser) -> None:
    import subterfuge.report

    code = (Path(subterfuge.report.__file__).parent / "page" / "statistics.js").read_text()
    grid = [(k, n) for n in (1, 2, 5, 18, 37, 100, 400, 1000) for k in {0, 1, n // 3, n // 2, (2 * n) // 3, n - 1, n}]
    ours = browser.js(code + "return arguments[0].map(([k, n]) => [pValue(k, n), ...shareInterval(k, n)])", grid)
    for (right, trials), (p, low, high) in zip(grid, ours, strict=True):
        truth = binomtest(right, trials, alternative="greater")
        span = binomtest(right, trials).proportion_ci(0.95, "exact")
        assert p == pytest.approx(truth.pvalue, rel=1e-9)
        assert (low, high) == pytest.approx((span.low, span.high), abs=1e-9)
    tail = browser.js(code + "return arguments[0].map(([k, n]) => atLeast(k, n, 0.8))", grid)
    assert tail == pytest.approx([binom.sf(k - 1, n, 0.8) for k, n in grid], rel=1e-9, abs=1e-300)


# what it hides

WORLD = """
const told = (value, seen = new Set()) => {
  if (typeof value === "function") return String(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "nothing";
  if (seen.has(value)) return "again";
  seen.add(value);
  if (value instanceof Node || value === window) return "node";
  return Object.entries(value).map(([name, one]) => `${name}:${told(one, seen)}`).join();
};
const outside = ["tap", "key", "toss", "performance", "visualViewport"];
const own = Object.getOwnPropertyNames(window).filter((name) => !outside.includes(name));
const globals = own.map((name) => { try { return `${name}=${told(window[name])}`; } catch { return name; } });
const fields = [...document.querySelectorAll("*")].map((one) => Object.keys(one).join() + one.value + one.checked);
const copy = document.documentElement.cloneNode(true);
copy.querySelector("#head").removeAttribute("style"); // where it plays, which is a matter of the clock
return [copy.outerHTML, fields, globals, JSON.stringify(localStorage), JSON.stringify(sessionStorage),
  document.cookie, history.state, location.href, document.title];
"""
DRAWS = """
const real = crypto.getRandomValues.bind(crypto);
window.toss = 0;
crypto.getRandomValues = (array) => array.fill(array.length === 1 && array.BYTES_PER_ELEMENT === 1 ? window.toss : 7);
"""


def test_before_the_answer_the_page_is_the_same_whichever_x_is(browser: Browser, tmp_path: Path) -> None:
    place = write_page(tmp_path, [sounds(3)])
    worlds: list[Any] = []
    heard = []
    for toss in (0, 1):
        browser.open(place, FREEZE, DRAWS, f"window.toss = {toss};")
        browser.js("localStorage.clear()")
        browser.begin("Ann")
        silent = browser.js(WORLD)
        browser.keys("x")
        heard.append(spectrum(browser.heard(800, after=0.2)))
        browser.keys("b", "x", "1")
        worlds.append([*silent, *browser.js(WORLD)])
    assert not np.allclose(*heard, rtol=0.01)  # X was the one, then the other
    for one, other in zip(*worlds, strict=True):
        assert one == other


def test_before_the_answer_nothing_that_is_kept_or_saved_tells_how_the_run_goes(
    browser: Browser, tmp_path: Path
) -> None:
    browser.open(write_page(tmp_path, [sounds(4)]))
    browser.begin("Bob")
    browser.keys("x", "1", ENTER)
    assert browser.text("#where") == "Trial 2 of 6"
    assert "right" not in browser.text("main")
    browser.reload()
    assert "Bob's run" in browser.text("#resume")
    assert "was left after 1 of 6 trials" in browser.text("#resume")
    (run,) = json.loads(browser.saved().read_text())["runs"]
    assert (run["complete"], run["answered"], run["trials"]) == (False, 1, [])
    rows = list(csv.DictReader(browser.saved("csv").read_text().splitlines()))
    assert [(row["complete"], row["x"], row["right"]) for row in rows] == [("false", "", "")]


# what it plays


def from_start(caught: NDArray[np.float64], truth: NDArray[Any]) -> NDArray[np.float64]:
    """Turn a period that was caught anywhere so that it begins where the loop does."""
    return np.roll(caught, int(np.argmax(np.fft.irfft(np.fft.rfft(truth) * np.fft.rfft(caught).conj(), len(truth)))))


def loops(browser: Browser, pair: Pair) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Catch the loops of A and of B, which then goes on playing."""
    caught = []
    for letter, truth in (("a", pair.clip[0]), ("b", pair.file[0])):
        browser.keys(letter)
        caught.append(from_start(browser.heard(pair.clip.shape[1], after=pair.clip.shape[1] / RATE + 0.1), truth))
    return caught[0], caught[1]


def test_a_and_b_are_the_samples_of_the_files_and_x_is_one_of_them(browser: Browser, tmp_path: Path) -> None:
    pair = sounds(5, subtype="PCM_24", rate=22050, seconds=0.2)
    edge = slice(111, -111)  # 5 ms of fade at both ends of the loop
    browser.open(write_page(tmp_path, [pair]))
    browser.begin()
    browser.keys("a", *7 * "\ue014")  # to places between two samples
    a, b = loops(browser, pair)
    browser.keys("x")
    x = spectrum(browser.heard(pair.clip.shape[1], after=0.3))
    assert browser.js("return tap.context.sampleRate") == 22050
    assert pair.gains[0] == 1
    assert np.array_equal(a[edge], pair.clip[0][edge])
    assert np.array_equal(b[edge], (pair.gains[1] * pair.file[0][edge].astype(np.float64)).astype(np.float32))
    assert sorted(np.allclose(x, spectrum(one), atol=1e-4) for one in (a, b)) == [False, True]


def test_where_the_browser_refuses_the_rate_it_is_said_and_played_all_the_same(
    browser: Browser, tmp_path: Path
) -> None:
    refuse = """
    const Real = AudioContext;
    window.AudioContext = class extends Real {
      constructor(options) {
        if (options.sampleRate) throw new DOMException("no such rate", "NotSupportedError");
        super(options);
      }
    };"""
    browser.open(write_page(tmp_path, [sounds(8)]), refuse)
    browser.begin()
    rate = browser.js("return tap.context.sampleRate")
    assert rate != RATE
    assert f"This browser will not play at {RATE} Hz; all sounds are converted to {rate} Hz" in browser.text("#notes")
    browser.keys("x")
    assert np.std(browser.heard(4000, after=0.3)) > 0.05
    answer_all(browser, lambda: "1")
    (run,) = json.loads(browser.saved().read_text())["runs"]
    assert run["playback_rates"] == {"0": rate}


def test_a_sound_that_the_browser_cannot_play_ends_the_test_with_a_word(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, [sounds(21, rate=2000)]))
    browser.click("#begin button")
    assert browser.text("#broken").startswith("This failed, so do not go on: ")
    assert "2000" in browser.text("#broken")
    assert browser.driver.get_log("browser")  # which is read, so that nobody else wonders


def test_the_louder_sound_is_lowered_and_it_is_said(browser: Browser, tmp_path: Path) -> None:
    from subterfuge.audio import Clip
    from subterfuge.report.pairs import pair_of

    clean = sounds(9).clip.astype(float)
    pair = pair_of(Clip.of(clean, RATE, subtype="FLOAT"), Clip.of(1.1 * clean, RATE, subtype="FLOAT"))
    browser.open(write_page(tmp_path, [pair]))
    browser.click("#begin button")
    assert "B, the changed sound, was 0.83 dB louder; it plays that much lower" in browser.text("#notes")
    browser.keys("a")
    a = spectrum(browser.heard(800, after=0.2))
    browser.keys("b")
    assert spectrum(browser.heard(800, after=0.2)) == pytest.approx(a, rel=1e-4, abs=1e-4)


def test_a_stereo_pair_of_floats_plays_both_channels_and_loops_what_was_chosen(
    browser: Browser, tmp_path: Path
) -> None:
    pair = sounds(10, subtype="FLOAT", channels=2, seconds=0.4)
    split = """
    const make = AudioContext.prototype.createAnalyser;
    AudioContext.prototype.createAnalyser = function () {
      const [splitter, analyser] = [this.createChannelSplitter(2), make.call(this)];
      splitter.connect(analyser, 1);
      Object.defineProperty(splitter, "fftSize", { set(size) { analyser.fftSize = size; } });
      splitter.getFloatTimeDomainData = (all) => analyser.getFloatTimeDomainData(all);
      return splitter;
    };"""
    browser.open(write_page(tmp_path, [pair]), split)
    browser.click("#begin button")
    browser.js(
        "for (const [id, value] of [['from', 0.1], ['to', 0.2]]) {"
        "  const slider = document.querySelector('#' + id); slider.value = value;"
        "  slider.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    browser.keys("b")
    truth = pair.gains[1] * pair.file[1, 800:1600]
    right = from_start(browser.heard(800, after=0.3), truth)
    assert np.allclose(right[40:-40], truth[40:-40], atol=1e-7)


# how it is used


def test_everything_can_be_done_with_keys_alone_and_the_focus_shows(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, [sounds(11)]))
    browser.keys("\ue004", "Cy", ENTER)  # tab to the name
    assert browser.text("#where") == "To get to know"
    browser.keys("a", " ", "b", "d", "s", "e", "w", "\ue012", "\ue014", "\ue013", "\ue015", ENTER)
    seen = set()
    for _ in range(14):
        browser.keys("\ue004")
        seen.add(browser.js("const one = document.activeElement; return one.id || one.value || one.textContent"))
        outline = browser.js("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or browser.js("return document.activeElement === document.body")
    assert {"play", "from", "to", "whole", "volume", "third"} <= seen
    browser.js("document.activeElement.blur()")
    browser.keys("1", ENTER)
    assert browser.text("#where") == "Trial 1 of 6"  # X was not heard yet
    assert browser.text("#hint") == "Listen to X first."
    answer_all(browser, lambda: "2")
    (run,) = read_results([browser.saved()]).runs
    assert run.listener == "Cy"


def test_every_control_has_a_name_for_who_does_not_see_it(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, [sounds(12)]))
    for step in ("intro", "training", "trial", "done"):
        nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        for node in nodes:
            if node.get("role", {}).get("value") in {"button", "slider", "radio", "textbox", "progressbar", "group"}:
                assert node["name"]["value"].strip() or node["role"]["value"] == "group", (step, node)
        if step == "intro":
            browser.click("#begin button")
        elif step == "training":
            browser.keys(ENTER)
        elif step == "trial":
            answer_all(browser, lambda: "1")
    assert browser.shown("#done")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_shows_everything_in_colours_that_can_be_read(
    scheme: str, browser: Browser, tmp_path: Path
) -> None:
    size = {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        browser.open(write_page(tmp_path, [sounds(13, name="a_name_without_any_space_in_it_" * 4), sounds(14)]))
        wide = (
            "return [document.documentElement.scrollWidth, [...document.querySelectorAll('main *')].filter((one) => "
            "one.offsetParent && one.getBoundingClientRect().right > 320).map((one) => one.outerHTML)]"
        )
        assert browser.js(wide) == [320, []]
        browser.click("#begin button")
        assert browser.js(wide) == [320, []]
        browser.js("key('Enter')")
        assert browser.js(wide) == [320, []]
        browser.js("while (document.querySelector('#done').hidden) { key('x'); key('1'); key('Enter'); }")
        assert browser.js(wide) == [320, []]
        for ink, paper in (
            ("ink", "paper"),
            ("soft", "paper"),
            ("soft", "wash"),
            ("on-accent", "accent"),
            ("accent", "card"),
        ):
            assert contrast(*(colour(browser, name) for name in (ink, paper))) >= 4.5, (ink, paper)
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def colour(browser: Browser, name: str) -> list[int]:
    code = "return getComputedStyle(document.documentElement).getPropertyValue('--' + arguments[0])"
    digits = str(browser.js(code, name)).strip().lstrip("#")
    wide = digits if len(digits) == 6 else "".join(2 * one for one in digits)
    return [int(wide[k : k + 2], 16) for k in (0, 2, 4)]


def contrast(one: list[int], other: list[int]) -> float:
    """Contrast ratio of WCAG 2.1, 1 .. 21."""

    def luminance(rgb: list[int]) -> float:
        linear = [v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


# what it keeps and sends


def test_what_the_page_says_is_what_reading_its_results_says(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, [sounds(15, name="first"), sounds(16, name="second")]))
    browser.begin("Dee")
    answer_all(browser, lambda: "1")
    told = browser.text("#results")
    saved, table = browser.saved(), browser.saved("csv")
    found = pool([saved])
    for row in (*found.pairs, found.everything):
        figure = browser.js("return Number(arguments[0].toPrecision(2)) + ''", row.count.p)
        assert (
            f"{row.pair or 'All pairs together'}\n{row.count.right} of {row.count.trials} right, p = {figure}" in told
        )
    said = command("listen", "--read", saved, "--json")
    assert said.code == 0
    assert json.loads(said.out)["everything"]["p"] == found.everything.count.p
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert sum(row["right"] == "true" for row in rows) == found.everything.count.right
    assert {row["name"] for row in rows} == {"first", "second"}


def test_a_run_that_was_left_can_be_finished_and_then_counts(browser: Browser, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path, [sounds(17)]))
    browser.begin("Eve")
    browser.keys("x", "1", ENTER, "x", "2", ENTER)
    browser.reload()
    early = command("listen", "--read", browser.saved())
    assert early.code == 2
    assert "left after 2 trials; an incomplete run is not counted" in early.err
    browser.click("#continue")
    answer_all(browser, lambda: "1")
    browser.reload()
    assert not browser.shown("#resume")
    assert browser.text("#earlier p").startswith("On record here: 1 complete, 0 incomplete")
    assert len(read_results([browser.saved()]).runs) == 1


def test_where_nothing_can_be_stored_the_results_are_kept_in_memory_and_that_is_said(
    browser: Browser, tmp_path: Path
) -> None:
    browser.open(write_page(tmp_path, [sounds(18)]), NO_STORAGE)
    assert "answers stay in memory: save the results before you close it" in browser.text("#storage")
    browser.begin()
    answer_all(browser, lambda: "1")
    assert len(read_results([browser.saved()]).runs) == 1


def test_nothing_goes_over_a_network(browser: Browser, tmp_path: Path) -> None:
    browser.driver.get_log("performance")
    place = write_page(tmp_path, [sounds(19)])
    browser.open(place)
    browser.begin()
    answer_all(browser, lambda: "1")
    browser.saved()
    events = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    asked = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("blob:")} == {place.as_uri()}
    blocked = "return fetch('https://example.org/').then(() => 'sent', (error) => String(error))"
    assert "TypeError" in browser.js(blocked)  # the page's own policy forbids it
    time.sleep(0.1)
    log = browser.driver.get_log("browser")
    assert [entry["message"] for entry in log if "Content Security Policy" not in entry["message"]] == []


def test_names_that_are_markup_are_shown_and_do_nothing(browser: Browser, tmp_path: Path) -> None:
    name = "</script><script>window.harmed = 1</script><img src=x onerror='window.harmed = 2'><!-- ]]> \u2028"
    browser.open(write_page(tmp_path, [sounds(20, name=name)]))
    browser.begin(name)
    assert browser.js("return [window.harmed ?? 0, document.querySelectorAll('img').length]") == [0, 0]
    assert browser.js("return document.querySelector('#name').textContent") == name
    browser.keys("x", "1", ENTER)
    browser.reload()
    assert browser.js("return window.harmed ?? 0") == 0
    browser.click("#continue")
    answer_all(browser, lambda: "1")
    assert browser.js("return window.harmed ?? 0") == 0
    shown = "".join(one for one in name if one.isprintable())
    assert read_results([browser.saved()]).test["pairs"][0]["name"].strip() == shown.strip()


def test_a_page_is_still_whole_after_all_this(browser: Browser) -> None:
    severe = [entry for entry in browser.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert [entry for entry in severe if "Content Security Policy" not in entry["message"]] == []
