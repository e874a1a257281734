"""The plain functions, frame by frame, against librosa's of the same name and the same arguments."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.fft
import torch

from subterfuge import dsp
from subterfuge.dsp.constants import dct_matrix
from subterfuge.errors import ClipError

RATE = 22050
FRAMES = ({}, {"n_fft": 512, "hop_length": 100}, {"n_fft": 1024, "win_length": 600, "window": "hamming"})


@pytest.fixture(scope="module")
def stereo() -> np.ndarray:
    dice = np.random.default_rng(5)
    t = np.arange(9001) / RATE
    left = 0.2 * dice.normal(size=9001) * np.exp(-5 * t)
    return np.stack([left, 0.5 * np.sin(2 * np.pi * 700 * t)]).astype(np.float32)


def close(ours: torch.Tensor, truth: np.ndarray, within: float) -> None:
    assert ours.shape == truth.shape
    assert ours.dtype == torch.from_numpy(truth[..., :1]).dtype
    assert np.abs(ours.numpy() - truth).max() <= within * max(1e-30, np.abs(truth).max())


@pytest.mark.parametrize("how", FRAMES)
@pytest.mark.parametrize("more", [{}, {"center": False}, {"pad_mode": "reflect"}, {"pad_mode": "edge"}])
def test_the_transform_is_librosas(stereo, how, more):
    ours, truth = dsp.stft(torch.from_numpy(stereo), **how, **more), librosa.stft(stereo, **how, **more)
    close(ours, truth, 1e-7)
    hop = {"hop_length": 512} | how
    close(
        dsp.magnitude(torch.from_numpy(stereo), **hop, **more),
        np.abs(librosa.stft(stereo, **hop, **more)),
        2e-7,
    )


@pytest.mark.parametrize("how", [{}, {"frame_length": 300, "hop_length": 77}, {"center": False}, {"pad_mode": "edge"}])
def test_the_level_is_librosas(stereo, how):
    close(dsp.rms(torch.from_numpy(stereo), **how), librosa.feature.rms(y=stereo, **how), 3e-7)


def test_centroid_and_bandwidth_are_librosas(stereo):
    S = np.abs(librosa.stft(stereo))
    S[..., 3] = 0
    ours, truth = torch.from_numpy(S), librosa.feature
    centroid = dsp.spectral_centroid(ours, sample_rate=RATE)
    close(centroid.double(), truth.spectral_centroid(S=S, sr=RATE), 1e-6)
    for how in ({}, {"p": 1}, {"p": 3.0}, {"norm": False}):
        width = dsp.spectral_bandwidth(ours, sample_rate=RATE, **how)
        close(width.double(), truth.spectral_bandwidth(S=S, sr=RATE, **how), 1e-6)


@pytest.mark.parametrize("percent", [0.01, 0.5, 0.85, 0.99])
def test_rolloff_is_librosas_in_every_frame_that_is_not_tied(stereo, percent):
    S = np.abs(librosa.stft(stereo))
    S[..., 3] = 0
    ours = dsp.spectral_rolloff(torch.from_numpy(S), sample_rate=RATE, roll_percent=percent)
    truth = librosa.feature.spectral_rolloff(S=S, sr=RATE, roll_percent=percent)
    running = S.astype(np.float64).cumsum(-2)
    margin = np.abs(running - percent * running[..., -1:, :]).min(-2, keepdims=True)
    tied = margin <= 2e-6 * running[..., -1:, :]
    assert tied.mean() < 0.1
    np.testing.assert_allclose(ours.numpy()[~tied], truth[~tied], rtol=1e-6)


@pytest.mark.parametrize(
    "how",
    [{}, {"frame_length": 300, "hop_length": 77}, {"center": False}, {"zero_pos": False}, {"threshold": 0.1}],
)
def test_the_zero_crossing_rate_is_librosas(stereo, how):
    wave = stereo.copy()
    wave[0, 100:200] = 0
    wave[0, 300:400:2] = -0.0
    wave[1, 500:600] *= 1e-12
    np.testing.assert_allclose(
        dsp.zero_crossing_rate(torch.from_numpy(wave), **how).numpy(),
        librosa.feature.zero_crossing_rate(wave, **how),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"n_mels": 40, "fmin": 50.0, "fmax": 8000.0},
        {"htk": True, "norm": None},
        {"power": 1.0, "hop_length": 300},
    ],
)
def test_mel_bands_are_librosas(stereo, how):
    close(
        dsp.melspectrogram(torch.from_numpy(stereo), sample_rate=RATE, **how),
        librosa.feature.melspectrogram(y=stereo, sr=RATE, **how),
        1e-6,
    )


@pytest.mark.parametrize("how", [{}, {"ref": 0.3}, {"amin": 1e-3}, {"top_db": None}, {"top_db": 20.0}])
def test_decibels_are_librosas_clip_by_clip(stereo, how):
    power = np.abs(librosa.stft(stereo)) ** 2
    truth = np.stack([librosa.power_to_db(clip, **how) for clip in power])
    close(dsp.power_to_db(torch.from_numpy(power), **how), truth, 1e-6)


@pytest.mark.parametrize("how", [{}, {"n_mfcc": 13, "lifter": 22}, {"norm": None}, {"mel_norm": None, "n_mels": 40}])
def test_the_cepstrum_is_librosas(stereo, how):
    ours = dsp.mfcc(torch.from_numpy(stereo), sample_rate=RATE, **how)
    truth = np.stack([librosa.feature.mfcc(y=clip, sr=RATE, **how) for clip in stereo])
    close(ours, truth, 1e-6)


@pytest.mark.parametrize("ortho", [True, False])
def test_the_cosine_transform_is_scipys(ortho):
    ours = dct_matrix(7, 12, ortho, torch.float64, torch.device("cpu"))
    truth = scipy.fft.dct(np.eye(12), type=2, norm="ortho" if ortho else None, axis=0)[:7]
    np.testing.assert_allclose(ours.numpy(), truth, atol=1e-12)


def test_a_wave_shorter_than_an_uncentred_frame_is_refused():
    with pytest.raises(ClipError, match="less than one frame"):
        dsp.stft(torch.zeros(100), center=False)


def test_knobs_that_make_no_sense_are_refused():
    power = torch.ones(3, 4)
    for wrong in ({"amin": 0.0}, {"top_db": -1.0}):
        with pytest.raises(ValueError, match="must be"):
            dsp.power_to_db(power, **wrong)
    with pytest.raises(ValueError, match="roll_percent"):
        dsp.spectral_rolloff(power, sample_rate=RATE, roll_percent=1.0)
    with pytest.raises(ValueError, match="pad_mode"):
        dsp.stft(torch.zeros(5000), pad_mode="wrap")
