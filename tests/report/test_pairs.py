"""Clip and file as two sounds to compare: in step, as loud, written without loss."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from tests.report.kit import RATE, sounds, wave

from subterfuge.audio import Clip
from subterfuge.errors import ClipError
from subterfuge.report.pairs import encode, format_of, pair_of

LONG = wave(5, seconds=1.0)


def clip(samples: object, rate: int = RATE, subtype: str = "FLOAT", name: str = "clip") -> Clip:
    return Clip.of(np.asarray(samples), rate, subtype=subtype, name=name)


@pytest.mark.parametrize(
    ("subtype", "kind"), [("PCM_U8", "s16"), ("PCM_16", "s16"), ("PCM_24", "s24"), ("FLOAT", "f32")]
)
def test_sounds_are_written_as_small_as_they_can_be_and_without_loss(subtype: str, kind: str) -> None:
    samples = Clip.of(np.concatenate([wave(1, 2), [[1.0], [-1.0]]], axis=1), RATE, subtype=subtype).samples
    assert format_of(samples) == kind
    raw = base64.b64decode(encode(samples))
    width = {"s16": 2, "s24": 3, "f32": 4}[kind]
    values = [raw[i : i + width] for i in range(0, len(raw), width)]
    if kind == "f32":
        back = np.frombuffer(raw, "<f4").astype(np.float64)
    else:
        back = np.array([int.from_bytes(one, "little", signed=True) for one in values]) / 2.0 ** (8 * width - 1)
    assert np.array_equal(back.reshape(-1, 2).T, samples)


def test_a_level_that_differs_by_a_tenth_of_a_decibel_is_left_and_a_larger_one_is_matched() -> None:
    for change_db, told in ((0.09, False), (-0.09, False), (0.3, True), (-0.3, True)):
        pair = pair_of(clip(LONG), clip(LONG * 10 ** (change_db / 20)))
        assert pair.louder_db == pytest.approx(change_db, abs=1e-3)
        levels = [
            20 * np.log10(gain * np.std(one)) for gain, one in zip(pair.gains, (pair.clip, pair.file), strict=True)
        ]
        assert levels[1] - levels[0] == pytest.approx(0.0 if told else change_db, abs=1e-3)
        assert max(pair.gains) == 1.0
        assert bool(pair.notes) is told
        which = "B, the changed sound, was" if change_db > 0 else "A, the original, was"
        assert not told or pair.notes[0].startswith(f"{which} 0.30 dB louder")


def test_a_sound_too_short_for_loudness_is_matched_by_its_power() -> None:
    assert pair_of(clip(wave()), clip(2 * wave())).louder_db == pytest.approx(6.02, abs=0.01)


def test_a_silent_clip_is_matched_to_nothing() -> None:
    pair = pair_of(clip(np.zeros((1, 8000))), clip(LONG))
    assert (pair.louder_db, pair.gains) == (0.0, (1.0, 1.0))


@pytest.mark.parametrize("late", [0, 37, -120])
def test_a_file_of_another_length_is_laid_over_its_clip_and_that_is_told(late: int) -> None:
    changed = LONG + 0.01 * wave(6, seconds=1.0)
    moved = np.pad(changed, ((0, 0), (late, 5))) if late >= 0 else np.pad(changed[:, -late:], ((0, 0), (0, 5)))
    pair = pair_of(clip(LONG), clip(moved))
    shared = 8000 - max(0, -late)
    assert pair.clip.shape == pair.file.shape == (1, shared)
    assert np.std(pair.file - pair.clip) == pytest.approx(0.001, rel=0.1)
    assert f"A has 8000 samples and B {moved.shape[1]}; the {shared} that they share are played" in pair.notes[0]
    assert (f"B moved by {-late}" in pair.notes[0]) is bool(late)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (clip(LONG), clip(LONG, 8001), "has 8001 Hz and its clip clip 8000"),
        (clip(LONG), clip(np.repeat(LONG, 2, 0)), "has 2 channels and its clip clip 1"),
        (clip(np.repeat(LONG, 3, 0)), clip(np.repeat(LONG, 3, 0)), "3 channels; a page plays one or two"),
        (clip(LONG), clip(LONG, name="b"), "b holds the very samples of its clip clip, so there is no difference"),
        (clip(LONG), clip(LONG[:, :6400]), "cannot be brought into step.*1600 samples over"),
        (clip(LONG), clip(wave(9, seconds=0.99)), "cannot be brought into step"),
    ],
)
def test_two_sounds_that_cannot_be_compared_honestly_are_refused(first: Clip, second: Clip, said: str) -> None:
    with pytest.raises(ClipError, match=re.compile(said, re.DOTALL)):
        pair_of(first, second)


def test_a_rate_that_not_every_browser_plays_is_told() -> None:
    assert pair_of(clip(wave()), clip(wave(3))).notes[:1] != ("Not every browser plays 8000 Hz",)
    told = pair_of(clip(wave(), 192_000), clip(wave(3), 192_000)).notes
    assert told[0] == "Not every browser plays 192000 Hz; all play 8000 to 96000 Hz."


def test_a_pair_says_of_which_sounds_it_is() -> None:
    pair = sounds(3)
    assert pair.clip_sha256 == Clip.of(pair.clip.astype(float), RATE).fingerprint
    assert pair.clip_sha256 != pair.file_sha256
