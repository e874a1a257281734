"""The taggers of musicnn: the file's own tensors, the graph that was trained, librosa's numbers, and cards gone wrong.

What needs the wheel's 17 MB of weights skips where it is not installed; the rest is told of toy taggers.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from tests.victims.musicnn_graph import Graph
from tests.victims.musicnn_toys import DATA, TAGS, plain_crc32c, toy_card, toy_tensors, write_checkpoint
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.errors import CardError, MissingExtra, VictimError
from subterfuge.victim import Gives, Kind
from subterfuge.victims import check_victim, load_victim, musicnn
from subterfuge.victims.musicnn import MusicnnVictim
from subterfuge.victims.musicnn import package as _musicnn_package
from subterfuge.victims.musicnn import spectra as _musicnn_spectra
from subterfuge.victims.musicnn.bundle import Damaged, read_tensors
from subterfuge.victims.musicnn.crc import crc32c
from subterfuge.victims.musicnn.networks import MODELS, network_of

ROOT = Path(__file__).resolve().parent.parent.parent
WINDOW = 186 * 256
"""Samples whose frames just fill one window."""
Array = NDArray[Any]


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The installed package's folder; absent, the test is skipped."""
    try:
        return Path(str(distribution("musicnn").locate_file("musicnn")))
    except PackageNotFoundError:
        pytest.skip("the taggers are not installed: pip install --no-deps musicnn==0.1.0")


@pytest.fixture(scope="session")
def real(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., MusicnnVictim]:
    def load(model: str, **keys: Any) -> MusicnnVictim:
        path = tmp_path_factory.mktemp(model) / "card.toml"
        rest = "".join(f"{key} = {str(value).lower()}\n" for key, value in keys.items())
        path.write_text(f'schema = 1\nkind = "musicnn"\nsample_rate = 16000\nmodel = "{model}"\n{rest}')
        return _tagger(path)

    return load


def _tagger(card: Path) -> MusicnnVictim:
    victim = load_victim(card)
    assert isinstance(victim, MusicnnVictim)
    return victim


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> MusicnnVictim:
    return _tagger(toy_card(tmp_path_factory.mktemp("toy")))


def _noise(samples: int, rows: int = 1, seed: int = 0, loud: float = 0.05) -> Tensor:
    return loud * torch.randn(rows, samples, generator=torch.Generator().manual_seed(seed))


# ---- the checkpoint


def test_the_checksum_is_that_of_rfc_3720_at_every_length() -> None:
    for raw, crc in (
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ):
        assert crc32c(raw) == crc
    dice = np.random.default_rng(0)
    for length in (1, 8191, 8192, 8193, 24576, 40001):
        raw = dice.bytes(length)
        assert crc32c(raw) == plain_crc32c(raw), length


def test_what_was_written_is_read(tmp_path: Path) -> None:
    tensors = toy_tensors("MTT_musicnn")
    write_checkpoint(tmp_path, tensors)
    read = read_tensors((tmp_path / ".index").read_bytes(), (tmp_path / DATA).read_bytes())
    assert read.keys() == tensors.keys()
    assert all(np.array_equal(read[name], tensors[name]) for name in tensors)
    assert read["conv2d/kernel"].shape == (7, 38, 1, 4)


def test_no_byte_of_an_index_can_change_unnoticed(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "ab": np.ones((), np.float32)}
    write_checkpoint(tmp_path, tensors)
    index, data = (tmp_path / ".index").read_bytes(), (tmp_path / DATA).read_bytes()
    for place in range(len(index)):
        for bit in (1, 16, 128):
            changed = bytearray(index)
            changed[place] ^= bit
            try:
                read = read_tensors(bytes(changed), data)
            except Damaged:
                continue
            assert all(  # a part that nobody reads
                np.array_equal(read[name], tensors[name]) for name in tensors
            ), place
    for length in range(len(index)):
        with pytest.raises(Damaged):
            read_tensors(index[:length], data)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-1], "does not lie at bytes"),
        (lambda data: data + b"\0", "do not fill the"),
        (lambda data: bytes([data[0] ^ 1]) + data[1:], "does not have its checksum"),
        (lambda data: b"", "does not lie at bytes"),
    ],
)
def test_damaged_data_is_an_error_of_the_card(tmp_path: Path, change: Callable[[bytes], bytes], says: str) -> None:
    card = toy_card(tmp_path)
    place = tmp_path / "musicnn" / "MTT_musicnn" / DATA
    place.write_bytes(change(place.read_bytes()))
    with pytest.raises(CardError, match=f"the checkpoint in .* is damaged: .*{says}.*pip install --force-reinstall"):
        load_victim(card)


@pytest.mark.parametrize("raw", [b"", b"\0" * 100, b"not a table" * 20])
def test_an_index_that_is_none_is_an_error_of_the_card(tmp_path: Path, raw: bytes) -> None:
    card = toy_card(tmp_path)
    (tmp_path / "musicnn" / "MTT_musicnn" / ".index").write_bytes(raw)
    with pytest.raises(CardError, match="does not end as a LevelDB table does"):
        load_victim(card)


def test_a_missing_or_misshapen_tensor_is_named(tmp_path: Path) -> None:
    card, folder = toy_card(tmp_path), tmp_path / "musicnn" / "MTT_musicnn"
    tensors = toy_tensors("MTT_musicnn")
    write_checkpoint(folder, {name: value for name, value in tensors.items() if name != "dense/bias"})
    with pytest.raises(CardError, match="it has no tensor dense/bias"):
        load_victim(card)
    write_checkpoint(folder, tensors | {"conv2d_2/kernel": np.zeros((127, 1, 1, 2), np.float32)})
    with pytest.raises(CardError, match=r"conv2d_2/kernel has the shape \(127, 1, 1, 2\); \(128, 1, 1, any\) was"):
        load_victim(card)


def test_weights_that_are_not_finite_are_an_error_of_the_card(tmp_path: Path) -> None:
    card = toy_card(tmp_path)
    bad = toy_tensors("MTT_musicnn") | {"dense_1/bias": np.full(50, np.nan, np.float32)}
    write_checkpoint(tmp_path / "musicnn" / "MTT_musicnn", bad)
    with pytest.raises(CardError, match="asked a second of noise, the victim card answered NaN"):
        load_victim(card)


# ---- the networks


@pytest.mark.parametrize("model", MODELS)
def test_a_network_gives_the_numbers_of_the_graph_that_was_trained(wheel: Path, model: str) -> None:
    folder = wheel / model
    tensors = read_tensors((folder / ".index").read_bytes(), (folder / DATA).read_bytes())
    assert len(tensors) == (86 if "vgg" in model else 150)
    dice = torch.Generator().manual_seed(0)
    spectra = 3 * torch.rand(1, 187, 96, dtype=torch.float64, generator=dice)
    graph = Graph(folder / ".meta", tensors, spectra)
    wanted = graph.run("model/Sigmoid")
    ours = network_of(model, tensors, as_trained=True).double()(spectra).sigmoid()
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-6)
    as_packaged = network_of(model, tensors).double()(spectra).sigmoid()
    assert (float((as_packaged - wanted).abs().max()) > 0.01) == (model == "MSD_vgg")


@pytest.mark.parametrize("model", ["MTT_musicnn", "MTT_vgg"])
def test_a_toy_network_gives_the_numbers_of_its_layers_written_out(model: str) -> None:
    tensors = toy_tensors(model)
    x = 3 * np.random.default_rng(1).random((187, 96))
    wanted = _written_out(model, x, {name: each.astype(np.float64) for name, each in tensors.items()})
    ours = network_of(model, tensors).double()(torch.from_numpy(x)[None])[0]
    np.testing.assert_allclose(ours.numpy(), wanted, rtol=0, atol=1e-5)


def _written_out(model: str, x: Array, t: dict[str, Array]) -> Array:
    """Compute one window (time, pitch) as the package's models.py defines it, layer by layer: (50,)."""

    def norm(y: Array, number: int) -> Array:
        name = "batch_normalization" + f"_{number}" * (number > 0)
        centred = (y - t[f"{name}/moving_mean"]) / np.sqrt(t[f"{name}/moving_variance"] + 0.001)
        return centred * t[f"{name}/gamma"] + t[f"{name}/beta"]

    def conv(y: Array, name: str, *, time: tuple[int, int] = (0, 0), pitch: tuple[int, int] = (0, 0)) -> Array:
        kernel = t[f"{name}/kernel"]
        frames = sliding_window_view(np.pad(y, (time, pitch, (0, 0))), kernel.shape[:2], axis=(0, 1))
        return np.maximum(np.einsum("tpiab,abio->tpo", frames, kernel) + t[f"{name}/bias"], 0)

    def loudest(y: Array, size: tuple[int, int], step: tuple[int, int]) -> Array:
        return sliding_window_view(y, size, axis=(0, 1))[:: step[0], :: step[1]].max((-1, -2))

    y = norm(x[..., None], 0)
    if model == "MTT_vgg":
        pools = [((4, 1), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4))]
        for number, (size, step) in enumerate(pools, 1):
            y = loudest(norm(conv(y, f"{number}CNN", time=(1, 1), pitch=(1, 1)), number), size, step)
        return np.asarray(y.reshape(-1) @ t["dense/kernel"] + t["dense/bias"])
    margins = [(3, 3), (3, 3), (63, 64), (31, 32), (15, 16)]
    front = [norm(conv(y, "conv2d" + f"_{k}" * (k > 0), time=margins[k]), k + 1).max(1) for k in range(5)]
    layers = [np.concatenate(front, axis=1)]
    for k in (5, 6, 7):
        after = norm(conv(layers[-1][..., None], f"conv2d_{k}", time=(3, 3)), k + 1)[:, 0]
        layers.append(after if k == 5 else after + layers[-1])
    over_time = np.concatenate(layers, axis=1)
    pooled = norm(np.stack([over_time.max(0), over_time.mean(0)], axis=1).reshape(-1), 9)
    hidden = norm(np.maximum(pooled @ t["dense/kernel"] + t["dense/bias"], 0), 10)
    return np.asarray(hidden @ t["dense_1/kernel"] + t["dense_1/bias"])


# ---- the front end


def test_spectra_are_librosas_of_its_time() -> None:
    t = torch.arange(48000) / 16000
    for wave in (_noise(48000), 0.5 * torch.sin(2 * torch.pi * 440 * t)[None], _noise(47616, loud=1e-4)):
        ours = _musicnn_spectra.mel_windows(wave, 187, 0, 1)[0, 0]
        theirs = librosa.feature.melspectrogram(
            y=wave[0].numpy(), sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
        ).T[:187]
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-5, atol=1e-6 * theirs.max())
        logs = np.log10(10000 * theirs.astype(np.float64) + 1)
        np.testing.assert_allclose(_musicnn_spectra.logarithms(ours).numpy(), logs, rtol=0, atol=1e-5)


def test_rounding_gives_numpys_logarithm_of_every_float16_but_where_log10_itself_is_a_last_bit_off() -> None:
    halves = np.arange(1 << 15, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    with np.errstate(over="ignore"):
        theirs = np.log10(10000 * halves + 1)
    assert theirs.dtype == np.float16
    mel = torch.from_numpy(halves.astype(np.float32))
    ours = _musicnn_spectra.rounded_logarithms(mel).numpy()
    other = np.flatnonzero(ours != theirs.astype(np.float32))
    assert len(other) <= 10
    assert all(abs(int(ours[k].astype(np.float16).view(np.int16)) - int(theirs[k].view(np.int16))) == 1 for k in other)
    fine = mel[:100].clone().requires_grad_()
    (slope,) = torch.autograd.grad(_musicnn_spectra.rounded_logarithms(fine).sum(), fine)
    torch.testing.assert_close(slope, 10000 / (10000 * fine + 1) / math.log(10))


@pytest.mark.parametrize(("seconds", "hop"), [(1.5, 92), (3.0, 186), (0.032, 1), (1.0, 61)])
def test_a_step_in_seconds_has_the_frames_that_librosa_counts(seconds: float, hop: int) -> None:
    assert _musicnn_spectra.hop_frames(seconds) == hop
    assert librosa.time_to_frames(seconds, sr=16000, hop_length=256, n_fft=512) == hop


# ---- windows


def _by_hand(victim: MusicnnVictim, wave: Tensor, hop: int) -> Tensor:
    """Give the mean probability over windows as the package cuts them, (50,)."""
    mel = librosa.feature.melspectrogram(
        y=wave.numpy(), sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    ).T
    logs = np.log10(10000 * mel + 1)
    windows = np.stack([logs[at : at + 187] for at in range(0, len(logs) - 187 + 1, hop)])
    with torch.no_grad():
        return victim.network(torch.from_numpy(windows)).sigmoid().mean(0)


@pytest.mark.parametrize(("keys", "hop"), [({}, 187), ({"overlap": 1.5}, 92), ({"overlap": 5}, 311)])
def test_a_long_sounds_tags_are_the_mean_over_its_windows(tmp_path: Path, keys: dict[str, Any], hop: int) -> None:
    victim = _tagger(toy_card(tmp_path, **keys))
    wave = _noise(16000 * 13) * torch.linspace(0, 1, 16000 * 13)
    assert victim.hop == hop
    ours = victim.probabilities(wave)
    assert ours is not None
    torch.testing.assert_close(ours[0], _by_hand(victim, wave[0], hop), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(victim.scores(wave), torch.logit(ours.double()).float(), rtol=1e-3, atol=1e-4)


def test_windows_by_turns_give_the_slope_of_all_at_once_and_keep_only_the_waves(
    toy: MusicnnVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    waves = _noise(16000 * 10, rows=2)
    mix = torch.randn(2, 50, generator=torch.Generator().manual_seed(1))

    def slope() -> tuple[Tensor, int]:
        kept, x = {}, waves.clone().requires_grad_()

        def keep(each: Tensor) -> Tensor:
            kept[each.untyped_storage().data_ptr()] = each.untyped_storage().nbytes()
            return each

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda each: each):
            value = (toy.scores(x) * mix).sum()
        (found,) = torch.autograd.grad(value, x)
        return found, sum(kept.values())

    monkeypatch.setattr(musicnn, "MOST_WINDOWS", 2)
    by_turns, few = slope()
    monkeypatch.setattr(musicnn, "MOST_WINDOWS", 100)
    at_once, many = slope()
    torch.testing.assert_close(by_turns, at_once, rtol=1e-4, atol=1e-6)
    assert few < many / 10


def test_what_follows_the_last_window_is_not_heard(toy: MusicnnVictim) -> None:
    wave = _noise(WINDOW + 20000).requires_grad_()
    (slope,) = torch.autograd.grad(toy.scores(wave)[:, 0].sum(), wave)
    assert bool((slope[:, WINDOW + 512 :] == 0).all())
    assert float(slope[:, :WINDOW].abs().max()) > 0


def test_a_short_sound_is_repeated_frame_by_frame(toy: MusicnnVictim) -> None:
    wave = _noise(16000)
    mel = librosa.feature.melspectrogram(
        y=wave[0].numpy(), sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    ).T
    logs = np.log10(10000 * np.concatenate([mel] * 3)[:187] + 1)
    with torch.no_grad():
        wanted = toy.network(torch.from_numpy(logs)[None])
    torch.testing.assert_close(toy.scores(wave), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 255, 256, 511, 512, 513, WINDOW - 1, WINDOW, WINDOW + 187 * 256])
def test_every_length_is_heard_with_a_slope(toy: MusicnnVictim, samples: int) -> None:
    wave = _noise(samples, rows=2).requires_grad_()
    scores = toy.scores(wave)
    (slope,) = torch.autograd.grad(scores[:, 0].sum(), wave)
    assert scores.shape == (2, 50)
    assert bool(torch.isfinite(slope).all())


# ---- the victim


def test_it_tags_with_gradients_of_its_own(toy: MusicnnVictim) -> None:
    assert (toy.kind, toy.gives, toy.twin, toy.labels) == (Kind.TAGS, Gives.GRADIENTS, None, tuple(TAGS))
    waves = _noise(16000, rows=3)
    assert torch.equal(toy.decide(waves), toy.scores(waves).argmax(-1))
    odd = waves.clone()
    odd[0, 0] = math.nan
    with pytest.raises(VictimError, match="answered NaN"):
        toy.scores(odd)


def test_the_slope_is_that_of_finite_differences_also_where_float16_rounds(tmp_path: Path) -> None:
    report = check_victim(_tagger(toy_card(tmp_path, model="MTT_vgg", float16=True)), [_noise(8000)[0].numpy()])
    findings = {finding.name: finding for finding in report.findings}
    assert findings["gradient"].level == "ok", findings["gradient"]
    assert "float64" in findings["gradient"].says


def test_float16_refuses_a_loud_sound_and_says_how_much_quieter_it_must_be(tmp_path: Path) -> None:
    plain, rounding = _tagger(toy_card(tmp_path)), _tagger(toy_card(tmp_path, float16=True))
    assert not plain.warnings
    assert "float16 = true: mel power is rounded" in rounding.warnings[0]
    assert plain.fingerprint != rounding.fingerprint
    quiet = _noise(WINDOW)
    assert 0 < float((plain.scores(quiet) - rounding.scores(quiet)).abs().max()) < 0.1
    tone = 0.5 * torch.sin(2 * torch.pi * 440 / 16000 * torch.arange(WINDOW))[None]
    plain.scores(tone)
    with pytest.raises(VictimError, match=r"Above 6.55 the package's float16 overflows.*by 12\.\d dB or more"):
        rounding.scores(tone)
    rounding.scores(tone * 10 ** (-13 / 20))


def test_a_fingerprint_knows_the_weights_and_the_keys(tmp_path: Path) -> None:
    first = load_victim(toy_card(tmp_path)).fingerprint
    assert load_victim(toy_card(tmp_path)).fingerprint == first
    assert load_victim(toy_card(tmp_path, overlap=1.5)).fingerprint != first
    assert load_victim(toy_card(tmp_path, as_trained=True)).fingerprint == first  # of this model it says nothing new
    write_checkpoint(tmp_path / "musicnn" / "MTT_musicnn", toy_tensors("MTT_musicnn", seed=1))
    assert load_victim(tmp_path / "card.toml").fingerprint != first


def test_msd_vgg_warns_unless_it_pools_as_in_its_training(tmp_path: Path) -> None:
    packaged = _tagger(toy_card(tmp_path, model="MSD_vgg"))
    trained = _tagger(toy_card(tmp_path, model="MSD_vgg", as_trained=True))
    assert "mistags" in packaged.warnings[0]
    assert not trained.warnings
    assert packaged.labels == tuple(TAGS[::-1])
    wave = _noise(WINDOW)
    assert float((packaged.scores(wave) - trained.scores(wave)).abs().max()) > 1e-3
    assert packaged.fingerprint != trained.fingerprint


# ---- cards


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"model": "MTT_musicn"}, 'model = "MTT_musicn" is none of the taggers in musicnn==0.1.0; did you mean MTT_mu'),
        ({"sample_rate": 44100}, "sample_rate = 44100, but MTT_musicnn hears 16000 Hz"),
        ({"overlap": 0}, "overlap = 0; the seconds from window to window were expected, 0.032 to 60"),
        ({"overlap": 61.5}, "overlap = 61.5"),
        ({"labels": TAGS[::-1]}, "labels are not all, in MTT_musicnn's order; leave the key labels out"),
        ({"labels": ["tag 1", "zither"]}, "labels has 'zither', which MTT_musicnn does not know"),
        ({"folder": "elsewhere"}, 'folder = "elsewhere", but there is no file .*elsewhere/MTT_musicnn/.index'),
        ({"model": "MSD_musicnn"}, "there is no file .*MSD_musicnn/.index"),
        ({"overlaps": 3}, "the key 'overlaps' is not known"),
    ],
)
def test_a_wrong_key_is_named_with_its_value_and_what_to_write(tmp_path: Path, keys: dict[str, Any], says: str) -> None:
    card = toy_card(tmp_path, model="MTT_musicnn")
    text = card.read_text()
    if "model" in keys:
        card.write_text(text.replace("MTT_musicnn", keys["model"]))
    else:
        toy_card(tmp_path, **keys)
    with pytest.raises(CardError, match=says):
        load_victim(card)


@pytest.mark.parametrize("text", ["", "MTT_LABELS = ['a', 'b']\n", "MTT_LABELS = [\n", "MTT_LABELS = open('x')\n"])
def test_a_package_without_its_tags_is_an_error_of_the_card(tmp_path: Path, text: str) -> None:
    card = toy_card(tmp_path)
    (tmp_path / "musicnn" / "configuration.py").write_text(text)
    with pytest.raises(CardError, match="has no list MTT_LABELS of 50 texts"):
        load_victim(card)


def test_a_package_that_is_not_installed_is_named_with_the_line_for_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = toy_card(tmp_path)
    card.write_text(card.read_text().replace('folder = "musicnn"\n', ""))

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_musicnn_package, "distribution", absent)
    with pytest.raises(MissingExtra, match=r"not installed. Install it: pip install --no-deps musicnn==0\.1\.0"):
        load_victim(card)


def test_the_example_card_names_the_tags_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(musicnn.EXAMPLE)
    victim = _tagger(tmp_path / "card.toml")
    assert (victim.name, victim.hop, len(victim.labels)) == ("musicnn", 92, 50)


# ---- sounds


@pytest.fixture(scope="session")
def recordings() -> dict[str, Tensor]:
    """Six recordings of instruments at 16 kHz, by their own short names."""
    study = Path(os.environ.get("SUBTERFUGE_SEED_STUDY", ROOT.parent / "shared" / "seed-study")) / "clips"
    folders = (study, ROOT.parent / "shared" / "irmas-samples")
    if not all(folder.is_dir() for folder in folders):
        pytest.skip(f"the recordings are not at {' and '.join(map(str, folders))}")
    return {
        path.name: torch.from_numpy(Clip.read(path).mono(16000))[None]
        for folder in folders
        for path in sorted(folder.glob("*.wav"))
    }


@pytest.mark.parametrize("model", ["MTT_musicnn", "MTT_vgg"])
def test_recordings_are_tagged_as_what_they_are(
    real: Callable[..., MusicnnVictim], recordings: dict[str, Tensor], model: str
) -> None:
    victim = real(model)
    tags = {}
    for name, wave in recordings.items():
        places = victim.scores(wave)[0].topk(3).indices.tolist()
        tags[name] = {victim.labels[place] for place in places}
    for part, wanted in (("[flu]", "flute"), ("[cel]", "strings"), ("Body Will Die", "rock"), ("[cla]", "classical")):
        found = [tags[name] for name in tags if part in name]
        assert found, part
        assert all(wanted in each for each in found), (part, found)
    assert "guitar" in next(tags[name] for name in tags if "[voi]" in name)


def test_three_of_six_recordings_overflow_the_packages_float16(
    real: Callable[..., MusicnnVictim], recordings: dict[str, Tensor]
) -> None:
    victim, refused = real("MTT_vgg", float16=True), 0
    for wave in recordings.values():
        mel = librosa.feature.melspectrogram(
            y=wave[0].numpy(), sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
        ).T
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            theirs = np.log10(10000 * mel.astype(np.float16) + 1)[:187]
        if np.isinf(theirs).any():
            with torch.no_grad():  # what the package's network makes of it
                repeated = np.concatenate([theirs] * 2)[:187].astype(np.float32)
                said = victim.network(torch.from_numpy(repeated)[None])
            assert bool(torch.isnan(said).all())
            with pytest.raises(VictimError, match="overflows"):
                victim.scores(wave)
            refused += 1
        else:
            with torch.no_grad():
                wanted = victim.network(torch.from_numpy(theirs.astype(np.float32))[None])
            torch.testing.assert_close(victim.scores(wave), wanted, rtol=0, atol=0.02)
    assert (refused, len(recordings)) == (3, 6)
