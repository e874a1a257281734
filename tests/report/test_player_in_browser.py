"""The player of the listening page, rendered offline in a real browser: no clock, so exact to the sample."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.report.kit import Browser

import subterfuge.report

CODE = (Path(subterfuge.report.__file__).parent / "page" / "player.js").read_text(encoding="utf-8")
RATE = 44100
QUANTUM = 128
"""Samples that a browser renders at once; between two of them commands come in."""
LEAD, FADE, EDGE = 1764, 441, 221  # 40, 10 and 5 ms, in samples
FIRST, SECOND = 0.25 * np.random.default_rng(0).normal(size=(2, 4410)).clip(-3, 3)

OFFLINE = """
const [sounds, rate, frames, commands, done] = arguments;
let offline;
window.AudioContext = function () { return (offline = new OfflineAudioContext(1, frames, rate)); };
%s
const player = makePlayer(rate);
player.load(sounds.map((one) => [Float32Array.from(one)]), false);
player.start();
for (const [frame, ...asked] of commands) {
  offline.suspend(frame / rate).then(() => {
    for (const [command, ...values] of asked) player[command](...values);
    offline.resume();
  });
}
offline.startRendering().then((all) => done([...all.getChannelData(0)]));
"""


def rendered(browser: Browser, frames: int, *commands: tuple[Any, ...]) -> NDArray[np.float64]:
    """What two sounds, and a third that is the second again, give with commands (frame, (name, value), ...)."""
    browser.driver.get("about:blank")
    sounds = [FIRST.tolist(), SECOND.tolist(), SECOND.tolist()]
    told = browser.driver.execute_async_script(OFFLINE % CODE, sounds, RATE, frames, commands)
    return np.array(told)


def looped(sound: NDArray[np.float64], frames: int, begin: int = LEAD) -> NDArray[np.float64]:
    """A sound's loop, faded at both ends, from where it begins."""
    loop = sound.copy()
    ramp = (np.arange(EDGE) + 0.5) / EDGE
    loop[:EDGE] *= ramp
    loop[-EDGE:] *= ramp[::-1]
    out = np.zeros(frames)
    out[begin:] = np.resize(loop, frames - begin)
    return out * np.clip((np.arange(frames) - begin) / FADE, 0, 1)


def shares(switches: list[tuple[int, int]], frames: int) -> NDArray[np.float64]:
    """The gain of each of three sounds, shape (3, frames): straight to its aim in `FADE` samples, from where it is."""
    gains = np.zeros((3, frames))
    now = np.array([1.0, 0.0, 0.0])
    turns = [*((frame + LEAD, sound) for frame, sound in switches), (frames, 0)]
    gains[:, : turns[0][0]] = now[:, None]
    for (begin, sound), (end, _) in pairwise(turns):
        way = np.clip((np.arange(end - begin + 1)) / FADE, 0, 1)
        path = now[:, None] + (np.eye(3)[sound] - now)[:, None] * way
        gains[:, begin:end] = path[:, :-1]
        now = path[:, -1]
    return gains


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param([(40, 1)], id="one"),
        pytest.param([(40, 1), (100, 0), (160, 2), (200, 1)], id="each after the other"),
        pytest.param([(40 + k, sound) for k, sound in enumerate([1, 0, 2, 1, 2, 0, 0, 1])], id="faster than a fade"),
    ],
)
def test_switching_goes_straight_from_one_sound_to_another_at_the_same_place_without_a_gap(
    switches: list[tuple[int, int]], browser: Browser
) -> None:
    frames = 400 * QUANTUM
    at = [(quantum * QUANTUM, sound) for quantum, sound in switches]
    found = rendered(browser, frames, *((frame, ("select", sound)) for frame, sound in at))
    gains = shares(at, frames)
    assert np.allclose(gains.sum(axis=0), 1)
    truth = gains[0] * looped(FIRST, frames) + (gains[1] + gains[2]) * looped(SECOND, frames)
    assert np.max(np.abs(found - truth)) < 1e-5


def test_several_choices_at_one_moment_are_the_last_of_them(browser: Browser) -> None:
    frames = 100 * QUANTUM
    many = [("select", 1), ("select", 0), ("select", 2), ("select", 0), ("select", 1)]
    found = rendered(browser, frames, (40 * QUANTUM, *many))
    assert np.array_equal(found, rendered(browser, frames, (40 * QUANTUM, ("select", 1))))


def test_a_stop_fades_out(browser: Browser) -> None:
    frames, stop = 100 * QUANTUM, 60 * QUANTUM
    found = rendered(browser, frames, (stop, ("stop",)))
    fade = np.clip(1 - (np.arange(frames) - stop - LEAD) / FADE, 0, 1)
    assert np.max(np.abs(found - fade * looped(FIRST, frames))) < 1e-5
    assert np.all(found[stop + LEAD + FADE :] == 0)


def test_a_jump_fades_over_to_the_new_place_and_plays_the_very_samples_there(browser: Browser) -> None:
    frames, jump = 200 * QUANTUM, 60 * QUANTUM
    found = rendered(browser, frames, (jump, ("seek", 1000.4 / RATE)))
    loop = looped(FIRST, 2 * len(FIRST), 0)[len(FIRST) :]
    after = np.resize(np.roll(loop, -1000), frames - jump - LEAD)[FADE:]
    assert np.max(np.abs(found[jump + LEAD + FADE :] - after)) < 1e-6
    assert np.max(np.abs(found[:jump] - looped(FIRST, frames)[:jump])) < 1e-6


def test_a_loop_plays_its_part_alone_again_and_again(browser: Browser) -> None:
    frames, turn = 200 * QUANTUM, 60 * QUANTUM
    found = rendered(browser, frames, (turn, ("loop", 1000 / RATE, 3400 / RATE)))
    loop = looped(FIRST[1000:3400], 4800, 0)[2400:]
    caught = found[turn + LEAD + FADE :][: 2 * 2400]
    assert np.array_equal(caught[:2400], caught[2400:])
    fits = [float(np.max(np.abs(caught[:2400] - np.roll(loop, k)))) for k in range(2400)]
    assert min(fits) < 1e-6
