"""What every transform promises, whatever it does."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from tests.transforms.sounds import die, music, snr_db

from subterfuge.errors import TransformError
from subterfuge.transforms import DEFAULT, TRANSFORMS, Transform, heard_through, parse_transforms

EVERY = {one.name: one for one in (*DEFAULT, *(make() for make in TRANSFORMS.values()))}
every = pytest.mark.parametrize("one", EVERY.values(), ids=EVERY)
LINEAR = {
    one.name: one
    for one in parse_transforms(
        "gain=-6,resample=48000,resample=22050,resample=16000,shift=3,lowpass,highpass,crop=0.1"
    )
}
linear = pytest.mark.parametrize("one", LINEAR.values(), ids=LINEAR)
RATE = 44_100


def test_every_word_is_tried_by_default() -> None:
    assert {one.word for one in DEFAULT} == set(TRANSFORMS)


@every
def test_its_name_makes_it_again(one: Transform) -> None:
    assert parse_transforms(one.name) == (one,)


@every
@pytest.mark.parametrize("channels", [1, 2])
def test_what_comes_out_is_what_went_in_but_for_its_numbers(one: Transform, channels: int) -> None:
    sound = music(channels=channels)
    kept = sound.copy()
    assert one.why_not(sound, RATE) is None
    heard = one.real(sound, RATE, die())
    assert heard.dtype == sound.dtype
    assert heard.shape[0] == channels
    assert heard.shape[1] <= sound.shape[1] if one.word == "crop" else heard.shape == sound.shape
    assert np.isfinite(heard).all()
    np.testing.assert_array_equal(sound, kept)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_its_stand_in_keeps_shape_and_number_type_and_has_a_gradient(one: Transform, dtype: torch.dtype) -> None:
    wave = torch.from_numpy(music(channels=2)).to(dtype).requires_grad_(True)
    heard = one.stand_in(wave, RATE, die())
    assert (heard.shape, heard.dtype) == (wave.shape, wave.dtype)
    (slope,) = torch.autograd.grad(heard.square().sum(), wave)
    assert slope.isfinite().all()
    assert slope.any()


@every
def test_the_stand_in_says_what_the_real_one_says_of_a_mono_file(one: Transform) -> None:
    sound = music(seconds=1.0)
    real = one.real(sound, RATE, die(3))
    stand_in = one.stand_in(torch.from_numpy(sound), RATE, die(3)).numpy()
    if one.word == "crop":  # whose ends are filled
        start = next(k for k in range(sound.shape[1]) if sound[0, k] == real[0, 0])
        stand_in = stand_in[:, start : start + real.shape[1]]
    else:  # soxr lets the last of its ringing go at both ends
        real, stand_in = real[:, 1000:-1000], stand_in[:, 1000:-1000]
    assert snr_db(real, stand_in) > 100


@every
def test_the_same_generator_gives_the_same(one: Transform) -> None:
    sound = music(channels=2, seconds=0.2)
    np.testing.assert_array_equal(*(one.real(sound, RATE, die(5)) for _ in range(2)))
    wave = torch.from_numpy(sound)
    assert torch.equal(*(one.stand_in(wave, RATE, die(5)) for _ in range(2)))


@every
def test_a_row_does_not_feel_its_batch(one: Transform) -> None:
    wave = torch.from_numpy(np.concatenate([music(seed=k, seconds=0.2) for k in range(3)]))
    together = one.stand_in(wave, RATE, [die(k) for k in range(3)])
    alone = one.stand_in(wave[1:2], RATE, [die(1)])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-7)


@every
def test_global_randomness_is_left_alone(one: Transform) -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    sound = music(seconds=0.1)
    one.real(sound, RATE, die())
    one.stand_in(torch.from_numpy(sound), RATE, die())
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@pytest.mark.parametrize("word", ["gain", "resample", "shift", "crop"])
def test_without_a_value_every_row_has_its_own_draw(word: str) -> None:
    (one,) = parse_transforms(word)
    wave = torch.from_numpy(music(seconds=0.5)).expand(8, -1)
    for dice in (die(), [die(k) for k in range(8)]):
        heard = one.stand_in(wave, RATE, dice)
        assert len({row.sum().item() for row in heard}) >= 2


@every
def test_silence_stays_silence_but_for_dither(one: Transform) -> None:
    heard = one.real(np.zeros((2, 9000), dtype=np.float32), RATE, die())
    most = 2 * 2.0 ** (1 - one.bits) if one.word == "dither" else 1e-6  # type: ignore[attr-defined]
    assert np.abs(heard).max() <= most
    wave = torch.zeros(1, 9000, requires_grad=True)
    one.stand_in(wave, RATE, die()).sum().backward()
    assert wave.grad is not None
    assert wave.grad.isfinite().all()


@every
@pytest.mark.parametrize(
    ("rate", "channels", "length"), [(8000, 1, 32), (44_100, 2, 33), (16_000, 6, 700), (100, 1, 40)]
)
def test_an_odd_sound_goes_through_or_is_refused_with_a_reason(
    one: Transform, rate: int, channels: int, length: int
) -> None:
    sound = 0.1 * np.random.default_rng(0).normal(size=(channels, length)).astype(np.float32)
    if one.why_not(sound, rate) is None:
        heard = one.real(sound, rate, die())
        assert np.isfinite(heard).all()
        assert heard.shape[0] == channels
        assert 0.7 * length <= heard.shape[1] <= length
    else:
        assert len(one.why_not(sound, rate) or "") > 10
        with pytest.raises(TransformError, match=re.escape(one.name)):
            one.real(sound, rate, die())


@linear
def test_the_gradient_of_a_linear_one_is_its_adjoint(one: Transform) -> None:
    """<A x, y> = <x, A' y>, and A x is what the stand-in says, so the gradient is the true one."""
    x, y = torch.from_numpy(music(channels=2)).double()[:, None]
    x.requires_grad_(True)
    (adjoint,) = torch.autograd.grad(one.stand_in(x, RATE, die()), x, y)
    z = torch.from_numpy(music(seed=9)).double()
    forward = one.stand_in(z, RATE, die())
    assert (forward * y).sum().item() == pytest.approx((z * adjoint).sum().item(), rel=1e-9)


@linear
def test_a_linear_one_takes_a_sum_apart(one: Transform) -> None:
    a, b = torch.from_numpy(music(channels=2)).double()[:, None]
    whole = one.stand_in(a + 2 * b, RATE, die())
    parts = one.stand_in(a, RATE, die()) + 2 * one.stand_in(b, RATE, die())
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-12)


def test_transforms_are_heard_side_by_side() -> None:
    wave = torch.from_numpy(music(channels=2, seconds=0.1))
    some = parse_transforms("gain=-6,shift=1,mp3")
    heard = heard_through(some, wave, RATE, die())
    assert heard.shape == (3, *wave.shape)
    assert torch.equal(heard[1], some[1].stand_in(wave, RATE, die()))


def test_a_row_without_its_generator_is_refused() -> None:
    with pytest.raises(ValueError, match="2 generators for 3 rows"):
        TRANSFORMS["gain"]().stand_in(torch.zeros(3, 100), RATE, [die(), die()])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mp4=128", "did you mean mp3"),
        ("mp3=129", "has the rates"),
        ("mp3=128,", "empty place"),
        ("", "empty place"),
        ("gain=loud", "a number was expected"),
        ("gain=inf", "a number was expected"),
        ("gain=", "a number was expected"),
        ("gain=99", "from -60 to 24"),
        ("shift=0.5", "a whole number of samples"),
        ("requantise=16.5", "a whole number of bits from 4 to 24"),
        ("dither=2", "from 4 to 24"),
        ("resample=5", "from 2000 to 768000"),
        ("noise=-50", "from -20 to 120"),
        ("crop=-1", "from 0 to 3600"),
        ("room=9", "from 0.15 to 1"),
        ("vorbis=11", "from 0 to 10"),
        ("opus=1", "from 6 to 512"),
        ("lowpass=1", "from 20 to 200000"),
        ("highpass=1", "from 10 to 100000"),
        ("gain,shift,gain", "gain is there twice"),
    ],
)
def test_a_mistake_is_told_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(TransformError) as caught:
        parse_transforms(text)
    assert said in str(caught.value)


def test_spaces_and_decimals_are_read_as_they_are_meant() -> None:
    assert [one.name for one in parse_transforms(" mp3 = 64 ,gain=-1.5,shift=2.0")] == [
        "mp3=64",
        "gain=-1.5",
        "shift=2",
    ]
