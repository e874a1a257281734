"""The fused features: librosa's values, the true gradient, nothing not finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from subterfuge import dsp
from subterfuge.dsp import mean25
from subterfuge.dsp.crossings import ZERO_WIDTH, softened, views, widths
from subterfuge.dsp.mean25 import librosa_mean_25
from subterfuge.errors import ClipError

RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000)
SMOOTH = [0, 1, 2, *range(5, 25)]


def plain(wave: torch.Tensor, rate: float) -> torch.Tensor:
    """The same 25 numbers from the functions that are not fused."""
    spectrum = dsp.magnitude(wave)
    frames = [
        dsp.rms(wave),
        dsp.spectral_centroid(spectrum, sample_rate=rate),
        dsp.spectral_bandwidth(spectrum, sample_rate=rate),
        dsp.spectral_rolloff(spectrum, sample_rate=rate),
        dsp.zero_crossing_rate(wave),
        dsp.mfcc(wave, sample_rate=rate),
    ]
    return torch.cat(frames, -2).mean(-1)


@pytest.mark.parametrize("rate", RATES)
def test_every_sound_has_librosas_features_to_a_hundred_thousandth(rate, sounds_at, errors):
    for name, wave in sounds_at(rate).items():
        apart = errors(librosa_mean_25(torch.from_numpy(wave), rate), wave, rate)
        assert apart.max() < 1e-5, (name, apart.argmax(), apart.max())


@pytest.mark.parametrize("rate", [16000, 44100, 96000])
def test_long_clips_are_as_near_though_transformed_in_float32(rate, sounds_at, errors):
    for name, wave in sounds_at(rate, 110 * 512 / rate).items():
        apart = errors(librosa_mean_25(torch.from_numpy(wave), rate), wave, rate)
        assert apart.max() < 1e-5, (name, apart.argmax(), apart.max())


def test_frames_with_empty_bands_are_transformed_in_float64(sounds_at, monkeypatch):
    again = []

    def counted(frames, tables, exactly=mean25._exact_spectra):
        again.append(len(frames))
        return exactly(frames, tables)

    monkeypatch.setattr(mean25, "_exact_spectra", counted)
    sounds = sounds_at(44100, 110 * 512 / 44100)
    for name in ("noise", "loud noise", "near silence"):
        librosa_mean_25(torch.from_numpy(sounds[name]), 44100)
    assert sum(again) < 10
    librosa_mean_25(torch.from_numpy(sounds["tone"]), 44100)
    assert sum(again) > 90


def test_the_studys_clips_have_librosas_features(study_waves, errors):
    for name, (wave, rate) in study_waves.items():
        apart = errors(librosa_mean_25(torch.from_numpy(wave), rate), wave, rate)
        assert apart.max() < 1e-5, (name, apart.argmax(), apart.max())


def test_in_float64_the_features_are_those_of_the_plain_functions(sounds_at):
    for name, wave in sounds_at(22050).items():
        doubled = torch.from_numpy(wave).double()
        torch.testing.assert_close(
            librosa_mean_25(doubled, 22050), plain(doubled, 22050), rtol=1e-9, atol=1e-7, msg=name
        )


def test_a_clip_does_not_feel_its_batch(sounds_at):
    waves = torch.from_numpy(np.stack([w for w in sounds_at(22050).values() if len(w) > 7000]))
    waves.requires_grad_()
    weights = torch.linspace(-1, 1, 25)
    together = librosa_mean_25(waves, 22050)
    (gradient,) = torch.autograd.grad((together * weights).sum(), waves)
    for i, row in enumerate(waves.detach()):
        alone = librosa_mean_25(row.requires_grad_(), 22050)
        assert torch.equal(alone, together[i])
        assert torch.equal(torch.autograd.grad((alone * weights).sum(), row)[0], gradient[i])


def test_leading_axes_are_kept():
    dice = torch.Generator().manual_seed(0)
    waves = torch.randn(2, 3, 3000, generator=dice)
    features = librosa_mean_25(waves, 44100)
    assert features.shape == (2, 3, 25)
    assert torch.equal(features[1, 2], librosa_mean_25(waves[1, 2], 44100))
    assert librosa_mean_25(waves[:0], 44100).shape == (0, 3, 25)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(0), torch.zeros(2, 0), torch.zeros(()), torch.zeros(9, dtype=torch.int16)]
)
def test_a_wave_without_samples_or_of_integers_is_refused(wrong):
    with pytest.raises(ClipError, match="expected"):
        librosa_mean_25(wrong, 44100)


@pytest.mark.parametrize("feature", SMOOTH)
def test_the_gradient_of_a_smooth_feature_is_its_difference_along_any_direction(feature, sounds_at):
    dice = torch.Generator().manual_seed(feature)
    wave = torch.from_numpy(sounds_at(8000)["noise"]).double()
    wave[-600:] = 0  # some silence; the bands there are clamped to the loudest less 80 dB
    wave.requires_grad_()
    (gradient,) = torch.autograd.grad(librosa_mean_25(wave, 8000)[feature], wave)
    step = 1e-6
    for _ in range(3):
        along = torch.randn(len(wave), generator=dice, dtype=torch.float64) * 0.1
        with torch.no_grad():
            ahead, behind = (librosa_mean_25(wave + s * along, 8000)[feature] for s in (step, -step))
        truth = (ahead - behind) / (2 * step)
        torch.testing.assert_close(gradient @ along, truth, rtol=1e-5, atol=1e-7 * float(gradient.norm()))


def test_gradcheck_agrees_on_a_short_wave():
    dice = torch.Generator().manual_seed(1)
    wave = torch.randn(40, generator=dice, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: librosa_mean_25(w, 8000)[SMOOTH], wave, eps=1e-6, atol=1e-3, rtol=1e-4)


def test_the_gradient_by_hand_is_the_gradient_of_the_plain_functions(sounds_at):
    sounds = sounds_at(22050)
    for name in ("noise", "chirp", "tone", "half silent", "click", "less than a frame", "a frame"):
        wave = torch.from_numpy(sounds[name]).double().requires_grad_()
        for feature in (0, 1, 2, 3, 5, 6, 24):
            (ours,) = torch.autograd.grad(librosa_mean_25(wave, 22050)[feature], wave)
            (theirs,) = torch.autograd.grad(plain(wave, 22050)[feature], wave)
            assert torch.linalg.norm(ours - theirs) <= 1e-6 * torch.linalg.norm(theirs), (name, feature)


def test_the_gradient_of_the_crossings_is_that_of_the_stated_surrogate(sounds_at):
    for name in ("noise", "chirp", "less than a frame"):
        wave = torch.from_numpy(sounds_at(22050)[name]).double().requires_grad_()
        (gradient,) = torch.autograd.grad(librosa_mean_25(wave, 22050)[4], wave)
        n = len(wave)
        seen = views(n, 2048, 512, True, wave.dtype, wave.device) / (2048 * (1 + n // 512))
        blocks = torch.nn.functional.pad(wave.detach(), (1024, 3072 - n % 512)).unfold(0, 512, 512)
        blocks = blocks[: 4 + n // 512]
        width = widths(blocks.square().sum(-1)[None], 512, 1024 + n, ZERO_WIDTH)[0, 1024:]
        (truth,) = torch.autograd.grad(softened(wave, width, seen), wave)
        torch.testing.assert_close(gradient, truth, rtol=1e-9, atol=1e-15, msg=name)


def test_float32_gradients_are_those_of_float64(study_waves, study_deviations):
    wave, rate = next(iter(study_waves.values()))
    for feature in range(25):
        gradients = []
        for dtype in (torch.float32, torch.float64):
            leaf = torch.from_numpy(wave).to(dtype).requires_grad_()
            gradients.append(torch.autograd.grad(librosa_mean_25(leaf, rate)[feature], leaf)[0].double())
        assert torch.linalg.norm(gradients[0] - gradients[1]) < 1e-3 * torch.linalg.norm(gradients[1]), feature


def test_gradients_are_finite_whatever_the_sound(sounds_at):
    for rate in (8000, 44100):
        for name, wave in sounds_at(rate).items():
            for scale in (1.0, 1e-8, 1e-20, 1e-38):
                for feature in (*range(6), 15):
                    leaf = (torch.from_numpy(wave[:6000]) * scale).requires_grad_()
                    features = librosa_mean_25(leaf, rate)
                    (gradient,) = torch.autograd.grad(features[feature], leaf)
                    assert features.isfinite().all(), (name, scale)
                    assert gradient.isfinite().all(), (name, scale, feature)


def test_a_kept_graph_gives_the_same_gradient_twice():
    dice = torch.Generator().manual_seed(2)
    wave = torch.randn(5000, generator=dice).requires_grad_()
    total = librosa_mean_25(wave, 44100).sum()
    (once,) = torch.autograd.grad(total, wave, retain_graph=True)
    (twice,) = torch.autograd.grad(total, wave)
    assert torch.equal(once, twice)
