"""The ear's coordinates against the form that they are to be, and its projections against what they must not exceed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from subterfuge.dsp.lapped import unlapped
from subterfuge.hearing import _ear_weights
from subterfuge.hearing._cells_back import nearest_wave
from subterfuge.hearing._ear_weights import lines_per_bark, weights
from subterfuge.hearing._masking_tables import bark
from subterfuge.hearing.ear import Ear
from subterfuge.hearing.masking import cells, frame_size, masking_threshold

RATES = (8000, 16000, 48000)
SOUNDS = ("noise", "tone", "late tone", "clicks", "chord", "silence", "full scale")
LENGTHS = (1, 5, 100, 511, 512, 513, 700, 2048)
"""At 8 kHz, where a frame has 512 samples and a block 256."""


def noise(*shape: int, seed: int = 0, level: float = 1.0) -> Tensor:
    return level * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sound(name: str, rate: int, length: int) -> Tensor:
    """One clip, shape (1, length), float32."""
    t = torch.arange(length, dtype=torch.float64) / rate
    made = {
        "noise": noise(length, level=0.1),
        "tone": 0.3 * torch.sin(2 * math.pi * 440 * t),
        "late tone": 0.3 * torch.sin(2 * math.pi * 1000 * t) * (t > t[length // 2]),
        "clicks": 0.9 * (torch.arange(length) % (length // 5 + 1) == 3),
        "chord": sum((0.1 * torch.sin(2 * math.pi * hz * t * (1 + 0.1 * t)) for hz in (300, 600, 1200, 2500)), 0 * t),
        "silence": torch.zeros(length),
        "full scale": noise(length, seed=3).sign(),
    }
    return made[name].float()[None]


def three(length: int, rate: int = 8000) -> tuple[Tensor, Ear]:
    """Three noises, of which one is loud, one quiet and one silent, and the ear beside them."""
    clean = noise(3, length, level=0.1) * torch.tensor([[1.0], [0.003], [0.0]])
    return clean, Ear.beside(clean, rate)


def lines(ear: Ear, seed: int = 0) -> Tensor:
    """Random coordinates for an ear's clips."""
    return noise(*ear.masked(torch.zeros(len(ear.threshold), ear.length)).shape, seed=seed)


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() * b.double()).sum(-1)


def loudest_db(ear: Ear, change: Tensor) -> Tensor:
    """How far the loudest cell of each change lies above the threshold."""
    return 10 * ear.ratios(change).amax((-2, -1)).log10()


# --- coordinates -----------------------------------------------------------------------------------------------------


@given(length=st.integers(1, 1500), rate=st.sampled_from([1000, 8000]), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_a_change_comes_back_from_its_coordinates_and_a_slope_from_its_own(length: int, rate: int, seed: int) -> None:
    _, ear = three(length, rate)
    change = noise(3, length, seed=seed, level=0.01)
    assert torch.allclose(ear.plain(ear.masked(change)), change, rtol=0, atol=1e-5 * float(change.abs().max()))
    assert torch.allclose(ear.unturned(ear.turned(change)), change, rtol=0, atol=1e-4 * float(change.abs().max()))


@given(length=st.integers(1, 1500), rate=st.sampled_from([1000, 8000]), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_a_turned_slope_gains_along_coordinates_what_the_slope_gains_along_the_change(
    length: int, rate: int, seed: int
) -> None:
    _, ear = three(length, rate)
    v, slope = lines(ear, seed), noise(3, length, seed=seed + 100)
    there, here = inner(ear.turned(slope), v), inner(slope, ear.plain(v))
    size = ear.turned(slope).norm(dim=-1) * v.norm(dim=-1)
    assert ((there - here).abs() < 1e-5 * size).all()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", SOUNDS)
def test_a_clip_is_as_long_in_its_own_coordinates_as_it_was(name: str, rate: int) -> None:
    clean = sound(name, rate, rate // 4 + 37)
    assert Ear.beside(clean, rate).masked(clean).norm() == pytest.approx(float(clean.norm()), rel=1e-5)


@pytest.mark.parametrize("rate", [*RATES, 44100, 96000])
@pytest.mark.parametrize("name", SOUNDS)
def test_length_in_coordinates_is_the_root_of_the_weighed_noise_to_mask_ratio(name: str, rate: int) -> None:
    clean = sound(name, rate, rate // 2 + 37)
    ear = Ear.beside(clean, rate)
    change = noise(*clean.shape, seed=1)
    by_slope = ear.turned(change)  # most of it lies beside what is loud: the hardest
    for v in (lines(ear), ear.masked(change), by_slope):
        assert float(ear.length_of(ear.plain(v)) / v.norm()) == pytest.approx(1.0, abs=0.2 if v is by_slope else 0.06)


def test_the_weights_are_the_forms_diagonal_line_by_line() -> None:
    rate, blocks, size = 8000, 12, 256
    clean = sound("chord", rate, blocks * size)
    ear = Ear.beside(clean, rate)
    for block in (0, 1, 4, 10, 11):
        for line in (3, 17, 60, 130, 200, 252):
            one = torch.zeros(1, blocks, size)
            one[0, block, line] = 1.0
            v = ear.masked(unlapped(one, blocks * size))
            assert float(ear.length_of(ear.plain(v)) / v.norm()) == pytest.approx(1.0, abs=0.1), (block, line)


@pytest.mark.parametrize("length", [100, 8 * 256, 9 * 256 + 1, 15 * 256])
def test_the_weights_do_not_depend_on_how_many_blocks_are_weighed_at_once(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threshold = masking_threshold(sound("late tone", 8000, length), 8000)
    whole = weights(threshold, 512, length)
    for at_once in (1, 4, 7):
        monkeypatch.setattr(_ear_weights, "AT_ONCE", at_once)
        assert torch.allclose(weights(threshold, 512, length), whole, rtol=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_the_length_is_the_one_that_the_noise_to_mask_ratios_say(rate: int) -> None:
    clean = sound("chord", rate, rate // 3)
    ear = Ear.beside(clean, rate)
    size = frame_size(rate)
    hz = torch.arange(size // 2 + 1, dtype=torch.float64) * rate / size
    steep = torch.from_numpy(bark((hz + 1).numpy()) - bark((hz - 1).clamp(min=0).numpy())) / (2 - (hz < 1).double())
    per_bark = (size / rate / steep).clamp_min(1)  # lines a Hz over Barks a Hz
    threshold = masking_threshold(clean, rate).double()

    def weighed(change: Tensor) -> float:
        power = cells(change, rate).abs().square().double()
        return float((per_bark[:, None] * power / threshold).sum().sqrt())

    changes = [noise(*clean.shape, seed=seed, level=10.0**-seed) for seed in (1, 2)]
    lengths = [float(ear.length_of(change)) for change in changes]
    assert lengths[0] / lengths[1] == pytest.approx(weighed(changes[0]) / weighed(changes[1]), rel=1e-3)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_line_counts_as_often_as_there_are_lines_in_its_band(rate: int) -> None:
    size = frame_size(rate)
    lines = lines_per_bark(size, rate)
    hz = torch.arange(size // 2 + 1) * rate / size
    assert lines.shape == hz.shape
    assert (lines >= 1).all()
    for low, high in ((200, 300), (920, 1080), (2320, 2700)):  # Zwicker's critical bands
        within = (hz >= low) & (hz < high)
        assert float(lines[within].mean()) == pytest.approx((high - low) * size / rate, rel=0.2)


def test_twice_the_change_is_twice_as_long_and_another_sign_changes_nothing() -> None:
    _, ear = three(700)
    change = noise(3, 700, level=0.01)
    assert torch.allclose(ear.length_of(2 * change), 2 * ear.length_of(change), rtol=1e-6)
    assert torch.equal(ear.length_of(-change), ear.length_of(change))


@pytest.mark.parametrize("length", LENGTHS)
def test_no_change_is_exactly_nothing_in_any_coordinates(length: int) -> None:
    _, ear = three(length)
    nothing = torch.zeros(3, length)
    for there in (ear.masked(nothing), ear.turned(nothing), ear.held(nothing, 6.0), ear.edge(nothing, 0.0)):
        assert (there == 0).all()
    assert (ear.plain(ear.masked(nothing)) == 0).all()
    assert (ear.unturned(ear.turned(nothing)) == 0).all()
    assert ear.length_of(nothing).tolist() == [0, 0, 0]


def test_coordinates_and_lengths_have_slopes() -> None:
    clean = noise(1, 300, level=0.1).double()
    ear = Ear.beside(clean, 1000)
    change = (1e-3 * noise(1, 300, seed=1).double()).requires_grad_()
    v = ear.masked(change.detach()).requires_grad_()
    assert torch.autograd.gradcheck(ear.plain, (v,), atol=1e-6)
    assert torch.autograd.gradcheck(ear.masked, (change,), atol=1e-4)
    assert torch.autograd.gradcheck(ear.length_of, (change,), eps=1e-8, atol=1e-3)


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [5, 700, 2048])
def test_an_ear_of_some_clips_is_the_ear_beside_these_clips(length: int) -> None:
    clean, ear = three(length)
    change = noise(3, length, seed=1, level=0.03)
    v = lines(ear)
    for rows in (torch.tensor([2, 0]), torch.tensor([1]), torch.tensor([True, False, True]), slice(1, 3)):
        some, alone = ear.of(rows), Ear.beside(clean[rows], 8000)
        for mine in (some, alone):
            assert torch.equal(mine.plain(v[rows]), ear.plain(v)[rows])
            assert torch.equal(mine.masked(change[rows]), ear.masked(change)[rows])
            assert torch.equal(mine.turned(change[rows]), ear.turned(change)[rows])
            assert torch.equal(mine.unturned(v[rows]), ear.unturned(v)[rows])
            assert torch.equal(mine.length_of(change[rows]), ear.length_of(change)[rows])
            assert torch.equal(mine.ratios(change[rows]), ear.ratios(change)[rows])
            assert torch.equal(mine.held(change[rows], 3.0), ear.held(change, 3.0)[rows])
            assert torch.equal(mine.edge(change[rows], 3.0), ear.edge(change, 3.0)[rows])


def test_rows_may_be_named_or_marked() -> None:
    _, ear = three(700)
    two = ear.of(slice(0, 2))
    assert len(two.of(torch.tensor([0, 1])).threshold) == 2
    assert torch.equal(two.of(torch.tensor([False, True])).threshold, ear.threshold[1:2])
    assert torch.equal(two.of(torch.tensor([1, 0])).threshold, ear.threshold[[1, 0]])


def test_of_no_clips_nothing_is_asked() -> None:
    _, ear = three(700)
    nobody = ear.of(torch.tensor([], dtype=torch.long))
    none = torch.zeros(0, 700)
    assert nobody.masked(none).shape == nobody.turned(none).shape == (0, 768)
    assert nobody.plain(torch.zeros(0, 768)).shape == nobody.held(none, 0.0).shape == nobody.edge(none, 0.0).shape
    assert nobody.length_of(none).shape == (0,)
    assert ear.of(slice(0, 1)).masked(none).shape == (0, 768)


def test_one_ear_takes_many_changes_of_its_clip() -> None:
    _, ear = three(700)
    many = noise(5, 700, level=0.01)
    alone = ear.of(slice(0, 1))
    each = [alone.masked(one[None])[0] for one in many]
    assert torch.equal(alone.masked(many), torch.stack(each))
    assert torch.equal(alone.length_of(many), torch.cat([alone.length_of(one[None]) for one in many]))


# --- what is held under the threshold --------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("margin_db", [-10.0, 0.0, 6.0])
def test_what_is_held_lies_that_far_under_the_threshold_in_every_cell(name: str, rate: int, margin_db: float) -> None:
    clean = sound(name, rate, rate // 5 + 11)
    ear = Ear.beside(clean, rate)
    for level in (1e-6, 1e-3, 1.0, 1e4):
        held = ear.held(noise(*clean.shape, seed=4, level=level), margin_db)
        assert held.isfinite().all()
        assert float(loudest_db(ear, held)) < -margin_db + 1e-4


@pytest.mark.parametrize("length", LENGTHS)
def test_the_shortest_clips_have_an_edge_and_something_inside_it(length: int) -> None:
    _, ear = three(length)
    change = noise(3, length, seed=5)
    for made in (ear.held(change, 3.0), ear.edge(change, 3.0)):
        assert made.shape == change.shape
        assert (loudest_db(ear, made) < -3.0 + 1e-4).all()
        assert (made != 0).any(-1).all()


def test_a_change_that_is_inside_stays_as_it_is_to_the_bit_whatever_its_batch() -> None:
    _, ear = three(700)
    change = noise(3, 700, seed=6)
    change = change * (0.99 / ear.ratios(change).amax((-2, -1)).sqrt())[:, None]
    assert torch.equal(ear.held(change, 0.0), change)
    mixed = change * torch.tensor([[1.0], [50.0], [1.0]])
    held = ear.held(mixed, 0.0)
    assert torch.equal(held[[0, 2]], change[[0, 2]])
    assert not torch.equal(held[1], mixed[1])
    assert torch.equal(ear.held(held, 0.0), held)  # and so a second time changes nothing


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", SOUNDS)
def test_a_change_a_little_too_loud_here_and_there_loses_little(name: str, rate: int) -> None:
    clean = sound(name, rate, rate // 2)
    ear = Ear.beside(clean, rate)
    change = ear.plain(lines(ear))
    change = change * (10 ** (1 / 20) / ear.ratios(change).quantile(0.999).sqrt())  # 0.1 % of cells 1 dB over
    held = ear.held(change, 0.0)
    assert float((ear.masked(held) - ear.masked(change)).norm() / ear.masked(change).norm()) < 0.35
    assert float(inner(ear.masked(held), ear.masked(change)) / ear.masked(change).norm() ** 2) > 0.6


@pytest.mark.parametrize("rate", RATES)
def test_a_loud_cell_is_brought_down_and_what_lies_far_from_it_stays(rate: int) -> None:
    clean = sound("noise", rate, rate)
    ear = Ear.beside(clean, rate)
    change = noise(*clean.shape, seed=7)
    change = change * (0.5 / ear.ratios(change).amax().sqrt())
    place = rate // 2
    loud = change.clone()
    loud[:, place : place + 50] *= 100
    held = ear.held(loud, 0.0)
    far = torch.ones(rate, dtype=torch.bool)
    reach = 6 * ear.size  # two projections and a gain reach two and a half frames to each side
    far[max(0, place - reach) : place + reach] = False
    assert far.any()
    assert torch.allclose(held[:, far], loud[:, far], rtol=0, atol=1e-3 * float(change.abs().max()))
    assert not torch.allclose(held[:, ~far], loud[:, ~far], rtol=0, atol=0.1)


def test_what_is_spared_for_rounding_is_left() -> None:
    _, ear = three(2048)
    change = noise(3, 2048, seed=8, level=0.1)
    for spare in (1e-6, 2e-5):
        held = cells(ear.held(change, 0.0, spare), 8000).abs()
        room = (ear.threshold.sqrt() - spare).clamp_min(1e-3 * ear.threshold.sqrt())
        assert (held <= room * 1.00001).all()


@pytest.mark.parametrize("rate", [1000, *RATES])
@pytest.mark.parametrize("name", SOUNDS)
def test_on_the_edge_a_slope_gains_more_than_scaled_into_the_limit_and_never_less(name: str, rate: int) -> None:
    clean = sound(name, rate, rate // 3)
    ear = Ear.beside(clean, rate)
    white = noise(*clean.shape, seed=9, level=1e-8)
    for slope in (white, white.cumsum(-1), ear.plain(lines(ear)), ear.plain(ear.turned(white))):
        edge = ear.edge(slope, 2.0)
        scaled = slope * (10 ** (-2 / 20) / ear.ratios(slope).amax().sqrt())
        assert float(loudest_db(ear, edge)) < -2 + 1e-4
        assert float(inner(edge, slope) / inner(scaled, slope)) > (1.7 if slope is white else 0.999)


def test_only_the_direction_of_a_slope_decides_the_edge() -> None:
    _, ear = three(700)
    slope = noise(3, 700, seed=10)
    edge = ear.edge(slope, 0.0)
    for scale in (1e-20, 1e-6, 1e12):
        assert torch.allclose(ear.edge(scale * slope, 0.0), edge, rtol=0, atol=3e-4 * float(edge.abs().max()))


def test_a_slope_of_which_a_part_is_nothing_is_no_trouble() -> None:
    _, ear = three(8192)
    slope = noise(3, 8192, seed=11)
    slope[:, 1000:6000] = 0
    slope[:, 6000:] *= 1e-30
    edge = ear.edge(slope, 0.0)
    assert edge.isfinite().all()
    assert (loudest_db(ear, edge) < 1e-4).all()
    assert (edge[:, 3000:6000].abs() < 1e-6 * edge.abs().amax(-1, keepdim=True)).all()


# --- odd clips -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1000, 8000, 22050, 48000, 96000])
@pytest.mark.parametrize("name", SOUNDS)
def test_nothing_is_ever_infinite_or_no_number(name: str, rate: int) -> None:
    for length in (1, 60, rate // 4):
        clean = sound(name, rate, length)
        ear = Ear.beside(clean, rate)
        v, change = lines(ear), noise(1, length)
        made = (ear.plain(v), ear.masked(change), ear.turned(change), ear.unturned(v), ear.length_of(change))
        assert all(bool(one.isfinite().all()) for one in made)
        assert float(ear.length_of(change)) > 0


def test_beside_a_louder_sound_a_change_is_less_audible_and_beside_silence_the_threshold_in_quiet_counts() -> None:
    t = torch.arange(4000) / 8000
    tone = torch.sin(2 * math.pi * 1000 * t)[None]
    change = 1e-3 * torch.sin(2 * math.pi * 1090 * t)[None]
    heard = [float(Ear.beside(level * tone, 8000).ratios(change).amax()) for level in (0.0, 1e-3, 1e-2, 0.1, 0.9)]
    assert heard == sorted(heard, reverse=True)
    assert 10 * math.log10(heard[0]) == pytest.approx(36 - 3.0, abs=1.0)  # 36 dB SPL over some 3 dB at 1090 Hz


def test_played_louder_what_quiet_hid_is_heard_by_so_much_and_what_a_tone_hides_stays_hidden() -> None:
    clean = sound("late tone", 8000, 4000)
    change = noise(1, 4000, level=1e-4)
    soft, loud = (Ear.beside(clean, 8000, full_scale_db=level).ratios(change) for level in (76.0, 96.0))
    assert torch.allclose(loud[..., 2], 100 * soft[..., 2], rtol=1e-3)  # before the tone
    tone = slice(63, 66)  # 1000 Hz
    assert torch.allclose(loud[:, tone, -4], soft[:, tone, -4], rtol=0.1)


def test_double_precision_stays_so() -> None:
    clean = sound("chord", 8000, 3000).double()
    ear = Ear.beside(clean, 8000)
    change = 1e-3 * noise(1, 3000).double()
    assert torch.allclose(ear.plain(ear.masked(change)), change, rtol=0, atol=1e-15)
    for made in (ear.masked(change), ear.length_of(change), ear.held(change, 0.0), ear.edge(change, 0.0)):
        assert made.dtype == torch.float64
    single = Ear.beside(clean.float(), 8000)
    assert float(single.length_of(change.float())) == pytest.approx(float(ear.length_of(change)), rel=1e-3)


# --- back from cells -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "length"), [(16, 1), (16, 7), (512, 100), (512, 2000), (512, 2048), (512, 2049)])
def test_the_wave_nearest_to_its_own_cells_is_itself_and_to_others_what_torch_says(size: int, length: int) -> None:
    rate = {16: 300, 512: 8000}[size]
    assert frame_size(rate) == size
    wave = noise(2, length).double()
    spectrum = cells(wave, rate)
    assert torch.allclose(nearest_wave(spectrum, size, length), wave, atol=1e-12)
    other = spectrum * noise(*spectrum.shape, seed=1)
    window = torch.hann_window(size, dtype=torch.float64)
    if length >= size // 2:  # the other refuses what is shorter
        theirs = torch.istft(other, size, size // 4, window=window, length=length) * (size / 4)
        assert torch.allclose(nearest_wave(other, size, length), theirs, atol=1e-12)


def test_no_other_wave_is_nearer_to_the_cells() -> None:
    size, length, rate = 512, 1500, 8000
    wanted = torch.complex(noise(1, 257, 12, seed=2), noise(1, 257, 12, seed=3)).to(torch.complex128)
    wanted[:, [0, -1]] = wanted[:, [0, -1]].real.to(wanted)
    twice = torch.full((257, 1), 2.0, dtype=torch.float64)
    twice[[0, -1]] = 1.0  # every line but dc and Nyquist stands for two

    def away(wave: Tensor) -> Tensor:
        return (twice * (cells(wave, rate) - wanted).abs().square()).sum()

    nearest = nearest_wave(wanted, size, length).requires_grad_()
    (slope,) = torch.autograd.grad(away(nearest), nearest)
    assert slope.abs().max() < 1e-10
    assert away(nearest + 0.01 * noise(1, length).double()) > away(nearest)
