"""Gradients of the plain functions against finite differences, surrogates against their equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from subterfuge import dsp
from subterfuge.dsp.crossings import ZERO_FLOOR, softened, softened_gradient, views
from subterfuge.dsp.framing import overlap_add, windowed_frames
from subterfuge.dsp.mean25 import librosa_mean_25

SMALL = {"n_fft": 32, "hop_length": 8}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SMOOTH = {
    "stft": lambda w: torch.view_as_real(dsp.stft(w, **SMALL)),
    "stft, frames that share no blocks": lambda w: torch.view_as_real(dsp.stft(w, n_fft=32, hop_length=11)),
    "magnitude": lambda w: dsp.magnitude(w, **SMALL),
    "rms": lambda w: dsp.rms(w, frame_length=32, hop_length=8),
    "centroid": lambda w: dsp.spectral_centroid(dsp.magnitude(w, **SMALL), sample_rate=100.0),
    "bandwidth": lambda w: dsp.spectral_bandwidth(dsp.magnitude(w, **SMALL), sample_rate=100.0),
    "bandwidth, p = 3": lambda w: dsp.spectral_bandwidth(dsp.magnitude(w, **SMALL), sample_rate=100.0, p=3),
    "mel": lambda w: dsp.melspectrogram(w, sample_rate=8000, n_mels=4, **SMALL),
    "decibels": lambda w: dsp.power_to_db(dsp.melspectrogram(w, sample_rate=8000, n_mels=4, **SMALL), top_db=15),
    "mfcc": lambda w: dsp.mfcc(w, sample_rate=8000, n_mfcc=3, n_mels=4, **SMALL),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_gradient_of_a_smooth_function_is_its_finite_difference(name):
    assert gradcheck(SMOOTH[name], noise(2, 70).requires_grad_(), eps=1e-6, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("length", "hop"), [(8, 2), (8, 3), (8, 8), (5, 9)])
def test_adding_frames_up_is_the_adjoint_of_cutting_them(length, hop):
    wave, window = noise(3, 40), noise(length, seed=1)
    frames = windowed_frames(wave, window, hop)
    others = noise(*frames.shape, seed=2)
    torch.testing.assert_close((frames * others).sum(), (wave * overlap_add(others * window, hop, 40)).sum())


@pytest.mark.parametrize("name", [*SMOOTH, "rolloff", "crossings"])
@pytest.mark.parametrize(
    "wave", [torch.zeros(90), torch.full((90,), 0.25), torch.eye(1, 90)[0], torch.full((90,), 1e-30)]
)
def test_no_gradient_is_infinite_where_magnitudes_vanish(name, wave):
    functions = SMOOTH | {
        "rolloff": lambda w: dsp.spectral_rolloff(dsp.magnitude(w, **SMALL), sample_rate=100.0),
        "crossings": lambda w: dsp.zero_crossing_rate(w, frame_length=32, hop_length=8),
    }
    leaf = wave.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(functions[name](leaf).sum(), leaf)
    assert gradient.isfinite().all()


def test_the_soft_rolloff_is_where_the_averaged_running_sum_crosses_the_level():
    S, m, bins = noise(200, 6).abs(), 8, 200
    ours = dsp.soft_rolloff(S, sample_rate=2 * (bins - 1), surrogate_bins=m)[0]  # 1 Hz a bin
    for frame in range(6):
        running = S[:, frame].numpy().cumsum()
        around = np.concatenate([np.zeros(m + 1), running, np.full(m, running[-1])])
        smooth = np.convolve(around, np.ones(2 * m + 1) / (2 * m + 1), "valid")  # at bins -1 .. bins - 1
        truth = np.interp(0.85 * running[-1], smooth, np.arange(-1, bins))
        assert abs(float(ours[frame]) - truth) < 1e-9


@pytest.mark.parametrize("m", [0, 1, 8])
def test_the_gradient_of_rolloff_is_the_finite_difference_of_the_soft_one(m):
    S = noise(65, 4).abs() + 0.1
    knobs = {"sample_rate": 128.0, "surrogate_bins": m}
    leaf = S.clone().requires_grad_()
    weights = noise(1, 4, seed=3)
    (gradient,) = torch.autograd.grad((dsp.spectral_rolloff(leaf, **knobs) * weights).sum(), leaf)
    truth = torch.zeros_like(S)
    for k, frame in np.ndindex(65, 4):
        moved = torch.zeros_like(S)
        moved[k, frame] = 1e-6
        ahead, behind = (dsp.soft_rolloff(S + s * moved, **knobs) for s in (1, -1))
        truth[k, frame] = ((ahead - behind) * weights).sum() / 2e-6
    torch.testing.assert_close(gradient, truth, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_the_crossings_is_the_finite_difference_of_the_soft_ones():
    wave, width = noise(1, 60), noise(1, 60, seed=4).abs() + 0.1
    weight = noise(1, 59, seed=5)
    leaf = wave.clone().requires_grad_()
    assert gradcheck(lambda w: softened(w, width, weight), leaf, eps=1e-7, atol=1e-5)
    (truth,) = torch.autograd.grad(softened(leaf, width, weight).sum(), leaf)
    torch.testing.assert_close(softened_gradient(wave, width, weight), truth)


def test_the_zero_crossing_rate_has_the_gradient_of_the_soft_crossings_with_widths_held():
    wave = noise(64).requires_grad_()
    rate = dsp.zero_crossing_rate(wave, frame_length=32, hop_length=16, center=False)
    (gradient,) = torch.autograd.grad(rate.mean(), wave)
    blocks = wave.detach().view(4, 16).square().mean(-1)
    around = torch.stack([blocks[:2].mean(), blocks[:3].mean(), blocks[1:].mean(), blocks[2:].mean()])
    width = (around.sqrt() * 0.02 + ZERO_FLOOR).repeat_interleave(16)
    seen = views(64, 32, 16, False, torch.float64, wave.device) / (32 * 3)
    (truth,) = torch.autograd.grad(softened(wave, width, seen), wave)
    torch.testing.assert_close(gradient, truth)


@pytest.mark.parametrize("center", [True, False])
def test_the_mean_crossing_rate_is_a_weighted_count(center):
    wave = noise(5000)
    knobs = {"frame_length": 300, "hop_length": 70, "center": center}
    rate = dsp.zero_crossing_rate(wave, **knobs)
    steps = (wave[1:] < 0) != (wave[:-1] < 0)
    seen = views(5000, 300, 70, center, torch.float64, wave.device)
    torch.testing.assert_close((steps * seen).sum() / (300 * rate.shape[-1]), rate.mean())


@pytest.mark.parametrize(("feature", "least"), [(3, 0.01), (4, 0.02)])
@pytest.mark.parametrize("way", [1, -1])
def test_a_few_steps_along_the_surrogate_move_the_true_mean(feature, least, way, study_waves, study_deviations):
    clips = [(wave, rate) for name, (wave, rate) in study_waves.items() if "-to-" not in name]
    assert len(clips) == 4
    for samples, rate in clips:
        clean = torch.from_numpy(samples)
        wave, reach = clean, clean.norm() * 10 ** (-40 / 20)  # 40 dB below the clip
        for _ in range(5):
            leaf = wave.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(librosa_mean_25(leaf, rate)[feature], leaf)
            wave = wave + way * reach / 5 * gradient / gradient.norm()
        before, after = (librosa_mean_25(w, rate)[feature] for w in (clean, wave))
        assert way * (after - before) / study_deviations[feature] > least
