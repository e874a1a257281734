"""The lapped transform against its definition, written out, and against what an orthogonal matrix must do."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from subterfuge.dsp.lapped import dct_iv, lapped, unlapped

SIZES = st.tuples(st.integers(1, 70), st.sampled_from([2, 4, 6, 16, 32]))
"""Samples and lines: less than a block, whole blocks, and neither."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosines(lines: int) -> Tensor:
    """The DCT-IV as a matrix (lines, lines)."""
    half = torch.arange(lines, dtype=torch.float64) + 0.5
    return math.sqrt(2 / lines) * torch.cos(math.pi / lines * half[:, None] * half)


def matrix(length: int, lines: int) -> Tensor:
    """The whole transform, shape (blocks * lines, length): sine windows that reach half a block to both sides.

    The ends of the signal are not windowed, and samples past the end are zero.
    """
    blocks = -(-length // lines)
    whole = torch.zeros(blocks, lines, blocks * lines, dtype=torch.float64)
    for block in range(blocks):
        for n in range(-(lines // 2), lines + lines // 2):
            sample = block * lines + n
            at_end = (block == 0 and n < lines // 2) or (block == blocks - 1 and n >= lines // 2)
            window = 1.0 if at_end else math.sin(math.pi / (2 * lines) * (n + lines / 2 + 0.5))
            for k in range(lines):
                if 0 <= sample < blocks * lines:
                    cosine = math.cos(math.pi / lines * (n + 0.5) * (k + 0.5))
                    whole[block, k, sample] = window * math.sqrt(2 / lines) * cosine
    return whole.flatten(0, 1)[:, :length]


@pytest.mark.parametrize("lines", [2, 4, 6, 10, 256])
def test_one_block_goes_through_the_dct_iv_and_comes_back_by_it(lines: int) -> None:
    x = noise(3, lines)
    assert torch.allclose(dct_iv(x), x @ cosines(lines), atol=1e-12)
    assert torch.allclose(lapped(x, lines)[:, 0], x @ cosines(lines), atol=1e-12)
    assert torch.allclose(dct_iv(dct_iv(x)), x, atol=1e-12)


@pytest.mark.parametrize(("length", "lines"), [(1, 4), (3, 8), (8, 8), (9, 8), (16, 8), (29, 8), (30, 6), (9, 2)])
def test_it_is_the_cosines_under_sine_windows_that_its_definition_says(length: int, lines: int) -> None:
    whole = matrix(length, lines)
    assert torch.allclose(lapped(torch.eye(length, dtype=torch.float64), lines).flatten(-2), whole.T, atol=1e-12)
    assert torch.allclose(whole.T @ whole, torch.eye(length, dtype=torch.float64), atol=1e-12)


@given(size=SIZES, seed=st.integers(0, 99))
def test_energy_stays_and_the_way_back_is_exact(size: tuple[int, int], seed: int) -> None:
    length, lines = size
    wave = noise(2, length, seed=seed)
    spectrum = lapped(wave, lines)
    assert spectrum.shape == (2, -(-length // lines), lines)
    assert torch.allclose(spectrum.square().sum((-2, -1)), wave.square().sum(-1))
    assert torch.allclose(unlapped(spectrum, length), wave, atol=1e-12)


@given(size=SIZES, seed=st.integers(0, 99))
def test_the_way_back_is_the_transpose(size: tuple[int, int], seed: int) -> None:
    length, lines = size
    wave, spectrum = noise(length, seed=seed), noise(-(-length // lines), lines, seed=seed + 100)
    forth, back = (lapped(wave, lines) * spectrum).sum(), (wave * unlapped(spectrum, length)).sum()
    assert float(forth) == pytest.approx(float(back), abs=1e-10)


@pytest.mark.parametrize("line", [3, 40, 100, 124])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
def test_a_sine_lies_at_its_line(line: int, phase: float) -> None:
    lines = 128
    t = torch.arange(20 * lines, dtype=torch.float64)
    spectrum = lapped(torch.sin(2 * math.pi * (line + 0.5) / (2 * lines) * t + phase), lines)[1:-1].square()
    assert spectrum[:, line - 1 : line + 2].sum() > 0.98 * spectrum.sum()
    far = torch.ones(lines, dtype=torch.bool)
    far[max(0, line - 8) : line + 9] = False
    assert spectrum[:, far].sum() < 1e-4 * spectrum.sum()


def test_a_click_lies_in_the_two_blocks_that_reach_it_and_nowhere_else() -> None:
    click = torch.zeros(10 * 16, dtype=torch.float64)
    click[5 * 16 + 2] = 1.0
    energy = lapped(click, 16).square().sum(-1)
    assert energy[4] + energy[5] == pytest.approx(1.0)
    assert (energy[[0, 1, 2, 3, 6, 7, 8, 9]] == 0).all()
    assert energy[5] > energy[4] > 0


def test_float32_stays_float32_and_loses_six_digits_at_most() -> None:
    wave = noise(3, 5000)
    single = lapped(wave.float(), 256)
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), lapped(wave, 256), atol=5e-6)
    assert torch.allclose(unlapped(single, 5000).double(), wave, atol=5e-6)


def test_slopes_go_through_both_ways() -> None:
    wave, spectrum = noise(2, 13).requires_grad_(), noise(2, 2, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: lapped(x, 8), (wave,))
    assert torch.autograd.gradcheck(lambda x: unlapped(x, 13), (spectrum,))


def test_what_goes_in_is_left_as_it_was() -> None:
    wave, spectrum = noise(2, 40), noise(2, 5, 8)
    before = wave.clone(), spectrum.clone()
    lapped(wave, 8)
    unlapped(spectrum, 40)
    assert torch.equal(wave, before[0])
    assert torch.equal(spectrum, before[1])


@settings(max_examples=20)
@given(size=SIZES)
def test_nothing_becomes_nothing_to_the_last_bit(size: tuple[int, int]) -> None:
    length, lines = size
    assert (lapped(torch.zeros(2, length), lines) == 0).all()
    assert (unlapped(torch.zeros(2, -(-length // lines), lines), length) == 0).all()


@pytest.mark.parametrize("rows", [0, 2])
def test_no_waves_and_waves_without_a_sample_are_transformed_into_nothing(rows: int) -> None:
    assert lapped(torch.zeros(rows, 0), 8).shape == (rows, 0, 8)
    assert unlapped(torch.zeros(rows, 0, 8), 0).shape == (rows, 0)
    assert lapped(torch.zeros(0, 20), 8).shape == (0, 3, 8)
    assert unlapped(torch.zeros(0, 3, 8), 20).shape == (0, 20)


def test_a_wave_does_not_feel_its_batch() -> None:
    wave = noise(3, 777).float()
    together = lapped(wave, 64)
    for row in range(3):
        assert torch.equal(lapped(wave[row], 64), together[row])
        assert torch.equal(unlapped(together[row], 777), unlapped(together, 777)[row])
