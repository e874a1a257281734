"""Attacks that must survive: the win is one through every transform that was named, on the file, by the true victim."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.world import QUICK, card, clip, run
from torch import Tensor

from subterfuge import Clip, Targeted, Threat, Victim, attack, load_victim
from subterfuge.attacks import Noise, Quietest
from subterfuge.driver.robust import Robust
from subterfuge.errors import AttackError, TransformError
from subterfuge.oracle import BudgetSpent, Oracle
from subterfuge.oracle.views import Worst
from subterfuge.threat import Budget
from subterfuge.transforms import MP3, Gain, LowPass, Shift, parse_transforms

FAST = Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(20, 20), keep=(1,))
HIGH = Threat(Targeted("high"))


@pytest.fixture
def bands(tmp_path: Path) -> Victim:
    return load_victim(card(tmp_path / "cards"))


def survives(path: str | Path, victim: Victim, names: str) -> list[bool]:
    """Put a written file through real transforms and ask the victim, without any of the driver's code."""
    file = Clip.read(path)
    said = []
    for one in parse_transforms(names):
        heard = one.real(file.samples, file.sample_rate, torch.Generator().manual_seed(5))
        wave = torch.from_numpy(np.asarray(heard, dtype=np.float32).mean(0))[None]
        said.append(victim.labels[int(victim.decide(wave)[0])] == "high")
    return said


def test_a_plain_win_dies_of_a_low_pass_and_one_that_must_survive_it_does_not(bands: Victim, tmp_path: Path) -> None:
    sound = clip(tmp_path / "a.wav", subtype="PCM_16")
    transforms = "lowpass=2650,gain=-6,shift=3"
    plain = attack(sound, bands, HIGH, by=FAST, control=0, out=tmp_path / "plain.wav")
    tough = attack(sound, bands, HIGH, by=FAST, control=0, out=tmp_path / "tough.wav", robust=transforms)
    assert plain.won
    assert tough.won
    assert plain.robust is None
    assert not all(survives(tmp_path / "plain.wav", bands, transforms))
    assert survives(tmp_path / "tough.wav", bands, transforms) == [True] * 3
    assert tough.robust is not None
    assert (tough.robust["asked"], tough.robust["died_of"]) == (["lowpass=2650", "gain=-6", "shift=3"], [])
    assert 3 <= tough.robust["queries"] <= 3 * tough.judgements
    assert plain.snr_db is not None
    assert tough.snr_db is not None
    assert tough.snr_db < plain.snr_db, "it costs something"


def test_what_cannot_be_survived_is_lost_and_named(bands: Victim, tmp_path: Path) -> None:
    sound = clip(tmp_path / "a.wav", subtype="PCM_16")
    lost = attack(sound, bands, HIGH, by=FAST, control=0, out=tmp_path / "b.wav", robust="lowpass=300")
    assert not lost.won
    assert not (tmp_path / "b.wav").exists()
    assert lost.robust == {"asked": ["lowpass=300"], "died_of": ["lowpass=300"], "queries": 0}
    assert "held back by lowpass=300; try: --robust without that" in (lost.advice or "")


def test_a_drawn_gain_and_shift_are_met_at_their_ends_too(tmp_path: Path) -> None:
    sound = Clip.read(clip(tmp_path / "a.wav"))
    told: list[str] = []
    names = [one.name for one in Robust(sound, 8000, parse_transforms("gain,shift,mp3=160"), 0, told.append).transforms]
    assert names == ["gain", "gain=-6", "gain=3", "shift", "shift=1", "shift=1024"]
    assert told == ["not asked to survive mp3=160: MP3 at 8000 Hz has 8 to 64 kbit/s, and 160 is none of them"]


def test_a_clip_that_can_be_put_through_none_of_them_is_refused(bands: Victim, tmp_path: Path) -> None:
    sound = clip(tmp_path / "a.wav")
    with pytest.raises(TransformError, match=r"none of what it is to survive \(mp3=160: MP3 at 8000 Hz has 8 to 64"):
        attack(sound, bands, HIGH, by=FAST, robust="mp3=160", out=tmp_path / "b.wav")


def test_a_file_of_another_rate_survives_what_only_it_can_be_put_through(bands: Victim, tmp_path: Path) -> None:
    sound = clip(tmp_path / "a.wav", 44100, 2, subtype="PCM_16", seconds=0.5)
    names = "mp3=128,lowpass=15000,shift=441,resample=22050"
    tough = attack(sound, bands, HIGH, by=FAST, control=0, out=tmp_path / "b.wav", robust=names)
    assert tough.won
    file = Clip.read(tmp_path / "b.wav")
    for one in parse_transforms(names):
        heard = replace(file, samples=one.real(file.samples, 44100, torch.Generator()).astype(np.float32))
        assert bands.labels[int(bands.decide(torch.from_numpy(heard.mono(8000))[None])[0])] == "high", one.name


def test_an_attack_without_gradients_cannot_be_made_robust(bands: Victim, tmp_path: Path) -> None:
    with pytest.raises(AttackError, match="works with attacks that follow gradients, and noise asks for labels"):
        attack(clip(tmp_path / "a.wav"), bands, HIGH, by=Noise(), robust="gain", out=tmp_path / "b.wav")


def test_a_codec_is_heard_on_all_channels_as_the_judge_hears_it(tmp_path: Path) -> None:
    sound = Clip.read(clip(tmp_path / "a.wav", 44100, 2))
    robust = Robust(sound, 44100, [MP3(128)], 0)
    wave = torch.from_numpy(sound.mono(44100))[None]
    wave = wave + 1e-3 * torch.randn(wave.shape, generator=torch.Generator().manual_seed(0))
    changed = sound.add((wave[0].numpy() - sound.mono(44100)), 44100)
    heard = robust.views()[0](wave)
    real = robust.heard(MP3(128), changed.samples, torch.Generator())
    assert float((heard - real).norm() / (real - wave).norm()) < 0.15, "but for the rounding to 16 bits"


def test_the_least_margin_counts_and_its_slope_is_that_of_the_worst_view() -> None:
    x = torch.tensor([[1.0, 2.0]], requires_grad=True)
    asked = 0

    def ask(wave: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal asked
        asked += 1
        margin = wave.sum(-1)
        return margin, margin

    worst = Worst([lambda wave: -2 * wave, lambda wave: 5 * wave], softness=1e-3)
    margin, hill = worst(ask, x, torch.tensor([0.0]))
    assert (float(margin), asked, worst.asked) == (-6.0, 3, 3)
    assert torch.autograd.grad(hill.sum(), x)[0].tolist() == [[-2.0, -2.0]]


def test_a_win_is_asked_through_every_view_and_a_loss_through_two() -> None:
    def ask(wave: Tensor) -> tuple[Tensor, Tensor]:
        return wave.sum(-1), wave.sum(-1)

    views: list[Any] = [lambda wave, by=by: by * wave for by in (1.0, 2.0, 3.0, 4.0, 5.0)]
    worst = Worst(views, softness=1.0)
    for call in range(12):
        worst(ask, torch.full((1, 2), -1.0), torch.tensor([0.0]))
        assert worst.asked == (6 if call % 10 == 0 else 3)
    worst(ask, torch.full((1, 2), 1.0), torch.tensor([0.0]))
    assert worst.asked == 6


def test_views_count_against_the_budget(bands: Victim) -> None:
    clean = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3200)).astype(np.float32)) * 0.1
    budget = Threat(Targeted("high"), budget=Budget(gradients=10))
    die = torch.Generator()
    views = [lambda wave, one=one: one.stand_in(wave, 8000, die) for one in (Gain(-6.0), Shift(1), LowPass(3000.0))]
    oracle = Oracle(bands, budget, clean, torch.tensor([2]), views=views)
    with contextlib.suppress(BudgetSpent):
        for _ in range(10):
            oracle.gradient(torch.zeros_like(clean))
    assert 7 <= oracle.gradients[0] <= 10
    with pytest.raises(ValueError, match="margins and gradients only"):
        oracle.population(clean, 0)


def test_the_command_says_what_it_cannot_make_robust(tmp_path: Path) -> None:
    sound, victim = clip(tmp_path / "a.wav", subtype="PCM_16"), card(tmp_path / "cards")
    words = ("attack", sound, "--victim", victim, "--target", "high", "--out", tmp_path / "b.wav", *QUICK)
    said = run(*words, "--robust", "gian")
    assert said.code == 2
    assert "transform 'gian' is not known; did you mean gain?" in said.err
    said = run(*words, "--robust", "gain,requantise=16")
    assert (said.code, said.err) == (0, ""), said.err
