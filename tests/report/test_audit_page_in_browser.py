"""The audit's page in a real browser: it opens, plays, subtracts, filters, sorts, and takes names for text."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.report.audits import RATE, audit, row, written
from tests.report.kit import Browser

import subterfuge.report
from subterfuge.audio import Clip

PAGE = Path(subterfuge.report.__file__).parent / "page"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>\u2028"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of five wins, one of a clip with a bad name, two of one clip, and a search that failed."""
    folder = tmp_path_factory.mktemp("audit")
    bred = [{"queries": 40 * i, "best": i / 9, "mean": i / 18, "diversity": 9 - i} for i in range(9)]
    rows = [
        row(folder, 1, snr_db=41.0, seconds=1.0, findings={"generations": bred}),
        row(folder, 2, snr_db=52.0, name=HOSTILE, label="middle"),
        row(folder, 3, snr_db=30.0, channels=2, seconds=1.0, subtype="PCM_24"),
        row(folder, 4, snr_db=60.0, clip=1, seconds=1.0, probe="labels"),
        row(folder, 5, snr_db=20.0, probe="untargeted", target=None, nmr_db=None),
    ]
    failed = replace(
        rows[0], job=replace(rows[0].job, number=9, probe="labels"), state="failed", result={}, error=HOSTILE
    )
    return written(audit(folder, *rows, failed, notes=(HOSTILE,)))


def test_a_long_path_in_an_error_or_a_note_does_not_widen_the_page(browser: Browser, tmp_path: Path) -> None:
    long = "ClipError: " + "/a_folder_without_any_place_to_break" * 40
    won = row(tmp_path, 1, warnings=[long])
    job = replace(won.job, probe="clean", name="x" * 400)
    unread = replace(won, job=job, state="failed", result={}, error=long)
    failed = replace(won, job=replace(won.job, number=2, probe="labels"), state="failed", result={}, error=long)
    trial = {"transform": "gain=-6", "why_not": long, "reached": None, "alone": None}
    tried = {"trials": [trial], "survived": 0, "telling": 0, "share": None}
    shown = replace(won, result={**won.result, "survival": tried})
    place = written(audit(tmp_path, shown, failed, unread, notes=(long,), doubts=({"sign": long, "words": long},)))
    for which in (0, 1):
        browser.open(place)
        browser.js("document.querySelectorAll('.row')[arguments[0]].click()", which)
        wide, room = browser.js("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= room, (wide, room)
    kinds = "return [...document.querySelectorAll('.numbers td')].map((one) => getComputedStyle(one).whiteSpace)"
    assert set(browser.js(kinds)) == {"nowrap"}, "numbers stay whole"


def opened(browser: Browser, place: Path, which: int = 0) -> None:
    """Open the page, and one of its searches, with its sounds decoded."""
    browser.open(place)
    browser.js("document.querySelectorAll('.row')[arguments[0]].click()", which)
    for _ in range(100):
        if browser.js("return /amplified by/.test(document.querySelector('.player')?.textContent)"):
            return
        time.sleep(0.02)
    raise AssertionError(browser.text("main"))


def clock(browser: Browser) -> float:
    """Where the player stands, in seconds."""
    told = browser.js("return document.querySelector('.controls output').textContent")
    return float(told.split(" ")[0]) if told else 0.0


def names(browser: Browser) -> list[str]:
    """The clips in the list as it stands."""
    found = browser.js(
        "return [...document.querySelectorAll('#items > li')].filter((one) => !one.hidden)"
        ".map((one) => one.querySelector('.what').textContent)"
    )
    return [str(one) for one in found]


def test_it_opens_and_draws_without_an_error_or_a_request(browser: Browser, place: Path) -> None:
    browser.driver.get("about:blank")  # the browser's own first page asks for things too
    for kind in ("browser", "performance"):
        browser.driver.get_log(kind)
    opened(browser, place)
    time.sleep(0.2)
    assert browser.driver.get_log("browser") == []
    assert not browser.shown("#broken")
    events = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert {url.split("#")[0] for url in asked if not url.startswith("chrome:")} == {place.as_uri()}
    drawn = browser.js(
        "return [...document.querySelectorAll('canvas')].map((one) => new Set("
        "new Uint32Array(one.getContext('2d').getImageData(0, 0, one.width, one.height).data.buffer)).size)"
    )
    assert len(drawn) == 5
    assert min(drawn[1:]) > 50, "a spectrogram has many colours"
    unnamed = "return document.querySelectorAll('canvas:not([aria-label]), svg[role=img]:not([aria-label])').length"
    assert browser.js(unnamed) == 0
    assert "Fitness of a generation" in browser.text(".panel")


def test_it_plays_and_a_switch_keeps_the_place(browser: Browser, place: Path) -> None:
    opened(browser, place)
    browser.keys(" ")
    time.sleep(0.4)
    first = clock(browser)
    assert 0.1 < first < 0.8
    loud = float(np.max(np.abs(browser.heard(2048))))
    assert loud > 0.01, "something comes out"
    browser.keys("b")
    browser.keys("d")
    assert browser.js("return document.querySelectorAll('.sound')[2].getAttribute('aria-pressed')") == "true"
    assert "louder than the original" in browser.text(".loud")
    now = clock(browser)
    browser.keys("a")
    assert not browser.shown(".loud")
    assert 0 <= now - first < 0.7
    browser.keys(" ")
    time.sleep(0.15)
    still = clock(browser)
    time.sleep(0.1)
    assert clock(browser) == still, "it pauses where it is"
    browser.keys("\ue00c")
    assert browser.js("return document.querySelector('.panel')") is None


def test_the_difference_is_the_file_minus_the_clip_to_the_sample(browser: Browser, place: Path) -> None:
    opened(browser, place)
    page = place.read_text()
    code = (PAGE / "audit_sounds.js").read_text()
    for number, which in ((0, 1), (2, 3)):
        told = json.loads(page.split(f'id="item-{number}">')[1].split("</script>")[0])
        flacs = [page.split(f'id="s{name}">')[1].split("</script>")[0] for name in told["sounds"]]
        script = (
            f"const [a, b, rate, bits, done] = arguments; {code}"
            "Promise.all([a, b].map((one, i) => decodeFlac(one, rate, bits[i]))).then(([x, y]) => {"
            "const d = differenceOf(x, y), plain = (sound) => sound.map((channel) => [...channel]);"
            "done([plain(x), plain(d.change), d.db, peakOf(d.amplified)]); });"
        )
        before, change, db, peak = browser.driver.execute_async_script(script, *flacs, RATE, told["bits"])
        folder = place.parent
        clip, file = (
            Clip.read(folder / one).samples.astype(np.float64)
            for one in (f"clips/clip{which}.wav", f"sounds/white/{which}.wav")
        )
        assert np.array_equal(before, clip)
        assert np.array_equal(change, (file - clip).astype(np.float32))
        assert peak == pytest.approx(10 ** (-3 / 20), rel=1e-5)
        assert db == pytest.approx(-3 - 20 * np.log10(np.max(np.abs(file - clip))), abs=1e-4)


def test_names_stay_text(browser: Browser, place: Path) -> None:
    browser.open(place)
    assert HOSTILE in names(browser)
    browser.js("document.querySelectorAll('.row')[1].click()")
    assert browser.js("return document.images.length") == 0
    assert HOSTILE.strip() in browser.js("return document.querySelector('#summary').textContent")
    browser.js("document.querySelectorAll('.row')[5].click()")
    assert HOSTILE in browser.js("return document.querySelector('.panel').textContent")


def test_the_list_filters_and_sorts(browser: Browser, place: Path) -> None:
    browser.open(place)
    assert len(names(browser)) == 6
    set_to = (
        "const one = document.querySelector(arguments[0]); one.value = arguments[1]; (one.onchange ?? one.oninput)()"
    )
    browser.js(set_to, "#by-search", "labels")
    assert names(browser) == ["clip1", "clip1"]
    assert browser.text("#count") == "2 of 6 searches"
    browser.js(set_to, "#by-state", "failed")
    assert names(browser) == ["clip1"]
    browser.js(set_to, "#by-search", "")
    browser.js(set_to, "#by-state", "")
    browser.js(set_to, "#words", "MIDDLE img")
    assert names(browser) == [HOSTILE]
    browser.js(set_to, "#words", "")
    browser.js("document.querySelector('#sort button[value=snr]').click()")
    assert names(browser) == ["clip1", HOSTILE, "clip1", "clip3", "clip5", "clip1"], "a search without a figure is last"
    browser.js("document.querySelector('#sort button[value=snr]').click()")
    assert names(browser) == ["clip5", "clip3", "clip1", HOSTILE, "clip1", "clip1"]
    browser.js("document.querySelector('#sort button[value=nmr]').click()")
    assert names(browser)[-2:] == ["clip5", "clip1"]


def test_a_narrow_screen_scrolls_one_way_and_dark_is_dark(browser: Browser, place: Path) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    device = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    try:
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
        opened(browser, place)
        time.sleep(0.1)
        outside = browser.js(
            "return [...document.querySelectorAll('main *')].filter((one) => !one.closest('.scroller') && "
            "!one.closest('.unseen') && one.getBoundingClientRect().right > 361)"
            ".map((one) => one.outerHTML.slice(0, 90))"
        )
        assert outside == []
        assert browser.js("return document.documentElement.scrollWidth") <= 360
        light = browser.js(ground)
        browser.click("#theme")
        assert browser.js(ground) != light
        browser.click("#theme")
        assert browser.js(ground) == light
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
