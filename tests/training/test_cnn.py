"""The convolutional network: what it hears, how it is taught, and what it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_model
from torch import Tensor

from subterfuge.errors import InputError
from subterfuge.training import cnn
from subterfuge.training._cnn_sounds import blanked, mixed, piece
from subterfuge.training.cnn import MelNet, TrainedCNN, build, train_cnn
from subterfuge.training.examples import Dataset, Example
from subterfuge.victim import Gives
from subterfuge.victims import check_victim, load_victim

RATE = 8000
SMALL: dict[str, Any] = {"sample_rate": RATE, "mels": 16, "widths": (4, 4, 8, 8), "batch": 6}
PITCHES_HZ = {"low": 300.0, "middle": 900.0, "high": 2500.0}


def tone(hz: float, die: np.random.Generator, seconds: float = 0.8) -> np.ndarray[Any, Any]:
    t = np.arange(round(RATE * seconds)) / RATE
    pitch = hz * die.uniform(0.9, 1.1)
    return die.uniform(0.1, 0.4) * np.sin(2 * np.pi * pitch * t) + 0.01 * die.normal(size=len(t))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Ten tones of each of three pitches, two excerpts a recording, lengths from 0.6 to 1.8 s."""
    folder, die = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    examples = []
    for label, hz in PITCHES_HZ.items():
        for k in range(10):
            path = folder / f"{label}{k}.wav"
            soundfile.write(path, tone(hz, die, 0.6 + 0.3 * (k % 5)), RATE)
            examples.append(Example(path, label, f"{label}{k // 2}"))
    return Dataset("tones", tuple(examples))


TRAIN = [place for place in range(30) if place % 10 < 6]
TEST = [place for place in range(30) if place % 10 >= 6]


@pytest.fixture(scope="module")
def taught(data: Dataset) -> TrainedCNN:
    torch.set_num_threads(1)
    return train_cnn(data, TRAIN, TEST, epochs=25, **SMALL)


def waves(rows: int = 3, seconds: float = 0.7) -> Tensor:
    die = torch.Generator().manual_seed(5)
    return 0.1 * torch.randn(rows, round(RATE * seconds), generator=die)


def state(module: MelNet) -> list[Tensor]:
    return list(module.state_dict().values())


def test_it_learns_three_pitches_from_recordings_and_knows_them_in_others(taught: TrainedCNN) -> None:
    assert taught.labels == ("high", "low", "middle")
    assert (taught.hits, taught.tested, taught.accuracy) == (12, 12, 1.0)
    assert taught.history[-1].loss < 0.7 * taught.history[0].loss


def test_the_spectrogram_is_the_logarithm_of_librosas(taught: TrainedCNN) -> None:
    wave = waves(1)
    power = librosa.feature.melspectrogram(y=wave[0].numpy(), sr=RATE, n_fft=256, hop_length=128, n_mels=16)
    np.testing.assert_allclose(taught.module.spectrogram(wave)[0].numpy(), np.log(power + 1e-6), rtol=0, atol=1e-3)


def test_an_empty_sound_has_an_answer_and_a_finite_gradient(taught: TrainedCNN) -> None:
    wave = torch.zeros(1, RATE, requires_grad=True)
    answer = taught.module(wave)
    (slope,) = torch.autograd.grad(answer[0, 0], wave)
    assert bool(torch.isfinite(answer).all())
    assert bool(torch.isfinite(slope).all())


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.3, 0.35, 1.0, 4.1])
def test_a_sound_may_be_of_any_length(taught: TrainedCNN, seconds: float) -> None:
    assert taught.module(waves(2, seconds)).shape == (2, 3)


def test_a_sound_under_300_ms_is_heard_with_silence_after_it(taught: TrainedCNN) -> None:
    short = waves(1, 0.1)
    padded = torch.nn.functional.pad(short, (0, round(0.3 * RATE) - short.shape[1]))
    torch.testing.assert_close(taught.module(short), taught.module(padded))


def test_a_clip_does_not_feel_its_batch(taught: TrainedCNN) -> None:
    alone = torch.cat([taught.module(wave[None]) for wave in waves(5)])
    torch.testing.assert_close(taught.module(waves(5)), alone, rtol=1e-5, atol=1e-5)


def test_its_gradient_is_that_of_finite_differences(taught: TrainedCNN) -> None:
    module = build(**taught.arguments)
    module.load_state_dict(taught.module.state_dict())
    module.double().eval()
    wave = waves(1).double().requires_grad_()
    (slope,) = torch.autograd.grad(module(wave)[0, 1], wave)
    along = slope / slope.norm()
    step = 1e-6
    rise = (module(wave + step * along) - module(wave - step * along))[0, 1] / (2 * step)
    assert rise.item() == pytest.approx(slope.norm().item(), rel=1e-4)


def test_the_same_seed_gives_the_same_network_and_another_seed_another(data: Dataset) -> None:
    first, again, other = (train_cnn(data, TRAIN, epochs=1, seed=seed, **SMALL) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(state(first.module), state(again.module), strict=True))
    assert first.history == again.history
    assert not torch.equal(first.module.last.weight, other.module.last.weight)


def test_training_leaves_the_global_generators_as_they_were(data: Dataset) -> None:
    torch.manual_seed(11)
    before, numbers = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    train_cnn(data, TRAIN, epochs=1, **SMALL)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


def test_saved_as_safetensors_and_named_by_a_card_it_is_a_sound_victim(taught: TrainedCNN, tmp_path: Path) -> None:
    save_model(taught.module, str(tmp_path / "net.safetensors"))
    (tmp_path / "net.toml").write_text(
        f'schema = 1\nkind = "torch"\nmodule = "subterfuge.training.melnet:build"\nsample_rate = {RATE}\n'
        f'labels = ["high", "low", "middle"]\nweights = "net.safetensors"\n'
        "arguments = { classes = 3, sample_rate = 8000, mels = 16, widths = [4, 4, 8, 8] }\n"
    )
    assert taught.arguments == {"classes": 3, "sample_rate": 8000, "mels": 16, "widths": [4, 4, 8, 8]}
    victim = load_victim(tmp_path / "net.toml")
    torch.testing.assert_close(victim.scores(waves()), taught.module(waves()))
    assert victim.gives is Gives.GRADIENTS
    report = check_victim(victim, [waves(1)[0].numpy()])
    assert not report.failures, report.failures


def test_what_cannot_be_read_is_named_and_left_out(data: Dataset, tmp_path: Path) -> None:
    bad = tmp_path / "noise.wav"
    bad.write_bytes(b"RIFF, but no sound")
    gone = tmp_path / "gone.wav"
    examples = (*data.examples, Example(bad, "low", "bad"), Example(gone, "high", "gone"))
    trained = train_cnn(Dataset("tones", examples), [*TRAIN, 30], [*TEST, 31], epochs=1, **SMALL)
    assert [str(bad) in trained.skipped[0], str(gone) in trained.skipped[1]] == [True, True]
    assert (len(trained.skipped), trained.tested) == (2, 12)


def test_a_class_without_a_file_that_can_be_read_is_an_error(data: Dataset, tmp_path: Path) -> None:
    bad = tmp_path / "noise.wav"
    bad.write_bytes(b"no sound")
    examples = (*data.examples, Example(bad, "org", "bad"))
    with pytest.raises(InputError, match=r"class org.*noise\.wav"):
        train_cnn(Dataset("tones", examples), [*TRAIN, 30], epochs=1, **SMALL)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"batch": 0}, "batch = 0"),
        ({"epochs": 0}, "epochs = 0"),
        ({"adversarial_share": 1.5}, "adversarial_share = 1.5"),
        ({"mels": 8}, "mels = 8"),
        ({"widths": (4, 4)}, r"widths = \[4, 4\]"),
        ({"through": "mp4=1"}, "mp4"),
        ({"augment": "noize"}, "did you mean noise"),
    ],
)
def test_arguments_that_make_no_sense_are_named(data: Dataset, change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        train_cnn(data, TRAIN, **({"epochs": 1} | SMALL | change))


@pytest.mark.parametrize("places", [[], [0, 1, 2]])
def test_fewer_than_two_classes_are_an_error(data: Dataset, places: list[int]) -> None:
    with pytest.raises(InputError, match="two or more"):
        train_cnn(data, places, epochs=1, **SMALL)


class Scarce:
    """An adversary that stands for a memory which holds so many clips."""

    def __init__(self, holds: int, error: Exception) -> None:
        self.holds, self.error, self.asked = holds, error, [0]

    def __call__(self, module: torch.nn.Module, sounds: Tensor, classes: Tensor, die: torch.Generator) -> Tensor:
        self.asked.append(len(sounds))
        if len(sounds) > self.holds:
            raise self.error
        return sounds


NO_ROOM = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


@pytest.mark.parametrize("error", [MemoryError(), NO_ROOM])
def test_where_memory_is_short_the_batch_is_halved_and_every_clip_still_learned(
    data: Dataset, error: Exception
) -> None:
    memory = Scarce(2, error)
    trained = train_cnn(data, TRAIN, epochs=2, adversarial=memory, adversarial_share=1.0, **SMALL | {"batch": 8})
    assert memory.asked[1:4] == [8, 4, 2]
    assert sum(count for count in memory.asked if count <= 2) == 2 * len(TRAIN)
    assert [epoch.batch for epoch in trained.history] == [2, 2]
    assert trained.notes == (
        "not enough memory for 8 clips at once: from there on 4 a step",
        "not enough memory for 4 clips at once: from there on 2 a step",
    )


def test_where_memory_does_not_hold_one_clip_it_is_an_error(data: Dataset) -> None:
    with pytest.raises(InputError, match="single clip"):
        train_cnn(data, TRAIN, epochs=1, adversarial=Scarce(0, MemoryError()), adversarial_share=1.0, **SMALL)


def test_another_error_in_training_is_not_taken_for_one_of_memory(data: Dataset) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        train_cnn(data, TRAIN, epochs=1, adversarial=Scarce(0, RuntimeError("shapes")), **SMALL)


def test_an_adversary_gets_its_share_of_each_batch_and_what_it_gives_is_learned(data: Dataset) -> None:
    seen: list[tuple[int, bool, bool]] = []

    def liar(module: torch.nn.Module, sounds: Tensor, classes: Tensor, die: torch.Generator) -> Tensor:
        seen.append((len(sounds), module.training, bool((classes >= 0).all())))
        module(sounds.clone().requires_grad_()).sum().backward()  # what it leaves behind must not be learned
        return torch.zeros_like(sounds)

    options = SMALL | {"batch": 9}
    third = train_cnn(data, TRAIN, epochs=1, adversarial=liar, adversarial_share=1 / 3, **options)
    assert seen == [(3, False, True)] * 2
    whole = train_cnn(data, TRAIN, TEST, epochs=12, adversarial=liar, adversarial_share=1.0, **options)
    answers = whole.module(torch.zeros(1, RATE)).softmax(-1)
    torch.testing.assert_close(answers, torch.full((1, 3), 1 / 3), rtol=0, atol=0.2)  # of silence, nothing is known
    assert whole.hits < 9  # of 12 tones, of which it has heard none
    assert third.history[0].loss > 0


@pytest.mark.parametrize("augment", ["", "noise-study"])
def test_sounds_pass_the_real_transforms_and_after_the_augmentation(data: Dataset, augment: str) -> None:
    read = {"through": "gain=-20,requantise=8", "augment": augment, "seed": 0, "told": lambda: None}
    sounds = cnn.Sounds.read(data, [0], ["low"], RATE, **read)
    heard = piece(sounds, 0, 4000, torch.Generator().manual_seed(1))
    level = soundfile.read(data.examples[0].path)[0].std() / 10
    assert float((heard.std() / level).log2().abs()) < 1.1  # the drawn level is at most 6 dB from the sound's
    assert len(heard.unique()) < 40  # the 8-bit steps of a sound this soft


def test_an_augmentation_is_heard_by_the_network(data: Dataset) -> None:
    plain, noisy, copies = (
        train_cnn(data, TRAIN, epochs=1, augment=words, **SMALL).history[0].loss
        for words in ("", "noise-study", "noise,gauss=0.01")
    )
    assert len({plain, noisy, copies}) == 3


def test_progress_is_told_in_order_and_ends_at_the_whole(data: Dataset) -> None:
    said: list[tuple[int, int]] = []
    train_cnn(data, TRAIN, TEST, epochs=2, progress=lambda done, total: said.append((done, total)), **SMALL)
    assert said == sorted(said)
    assert {total for _, total in said} == {3 * len(TRAIN) + 2 * len(TEST)}
    assert said[-1][0] == said[-1][1]


def test_mixing_keeps_parts_that_add_up_to_one_and_leaves_a_lone_clip(data: Dataset) -> None:
    die = torch.Generator().manual_seed(0)
    wanted = torch.eye(3).repeat(20, 1)
    sounds, parts = mixed(wanted.clone(), wanted, die)  # each sound is its own label, so both mix alike
    torch.testing.assert_close(sounds, parts)
    torch.testing.assert_close(parts.sum(1), torch.ones(60))
    assert float(parts.amax(1).min()) >= 0.5
    lone = torch.ones(1, 4)
    assert mixed(lone, lone, die) == (lone, lone)


def test_blanking_hides_neighbouring_bands_and_frames_behind_the_mean() -> None:
    die = torch.Generator().manual_seed(0)
    seen = torch.randn(8, 40, 50, generator=die)
    hidden = blanked(seen, die) != seen
    bands, frames = hidden.all(2), hidden.all(1)
    assert torch.equal(hidden, bands[:, :, None] | frames[:, None, :])
    assert int(bands.sum(1).max()) <= 7
    assert int(frames.sum(1).max()) <= 11
    assert 0 < float(hidden.float().mean()) < 0.4
    assert int((bands.int().diff(dim=1) == 1).sum(1).max()) <= 1


def test_a_piece_of_a_short_sound_holds_all_of_it(data: Dataset) -> None:
    wave = torch.full((100,), 0.5)
    sounds = cnn.Sounds([wave], [0], (), RATE, (), None)
    cut = piece(sounds, 0, 400, torch.Generator().manual_seed(0))
    assert cut.shape == (400,)
    assert int((cut != 0).sum()) == 100


def test_the_number_of_epochs_follows_from_the_number_of_clips(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cnn, "ENOUGH", 60)
    assert len(train_cnn(data, [0, 10], **SMALL).history) == 30
    assert len(train_cnn(data, TRAIN, **SMALL).history) == 20


def strange(waves: Tensor) -> float:
    """Give the part of the power above 1500 Hz, of waves at 8 kHz."""
    power = torch.fft.rfft(waves).abs().square()
    return float(power[..., power.shape[-1] * 3 // 8 :].sum() / power.sum())


def test_an_adversary_changes_the_sound_before_the_transforms_and_what_it_gives_passes_them(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whistle that the filter takes away has no slope, and is not heard by the network."""
    given: list[float] = []
    slopes: list[float] = []
    learned: list[float] = []
    t = torch.arange(round(RATE * cnn.PIECE_SECONDS)) / RATE
    whistle = torch.sin(2 * torch.pi * 3000 * t)

    def whistler(net: torch.nn.Module, sounds: Tensor, classes: Tensor, die: torch.Generator) -> Tensor:
        given.append(strange(sounds))
        heard = sounds.clone().requires_grad_()
        slopes.append(strange(torch.autograd.grad(net(heard).square().sum(), heard)[0]))
        return sounds + 0.3 * whistle

    truly = MelNet.spectrogram

    def spectrogram(self: MelNet, waves: Tensor) -> Tensor:
        if self.training and not torch.is_grad_enabled():
            learned.append(strange(waves))
        return truly(self, waves)

    monkeypatch.setattr(MelNet, "spectrogram", spectrogram)
    high = [place for place in TRAIN if place >= 20]  # tones of 2500 Hz
    some = [place for place in TRAIN if place < 10]
    for augment in ("", "noise-study"):
        given.clear(), slopes.clear(), learned.clear()
        train_cnn(data, [*high[:3], *some[:3]], epochs=1, adversarial=whistler, adversarial_share=1.0, augment=augment,
                  through="lowpass=1300", **SMALL)  # fmt: skip
        assert min(given) > 0.1
        assert max(slopes) < 1e-3
        assert learned
        assert max(learned) < 1e-3


def test_what_a_transform_refuses_of_a_changed_piece_passes_its_stand_in_and_a_crop_keeps_the_length() -> None:
    from subterfuge.transforms import parse_transforms

    loud = 0.9 * torch.ones(2, 800)
    die = torch.Generator().manual_seed(0)
    sounds = cnn.Sounds([], [], (), RATE, (), None, parse_transforms("gain=6,crop=0.25"))
    found = cnn.passed(sounds, loud, die)
    assert found.shape == loud.shape
    assert float(found.max()) <= 1.0
