"""The voice encoder, beside the wheel's own code, librosa and real voices of espeak-ng."""

from __future__ import annotations

import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from tests.victims.voices import RATE, SAYS, by_path, speaker, speech_file, spoken

from subterfuge.attacks.quietest import Quietest
from subterfuge.audio import Clip
from subterfuge.driver import attack
from subterfuge.dsp.mel import melspectrogram
from subterfuge.errors import CardError, MissingExtra, VictimError
from subterfuge.threat import Targeted, Threat
from subterfuge.victims import _speech_wheel, load_victim, resemblyzer
from subterfuge.victims.card import COMMON
from subterfuge.victims.check.gradient import slopes_at
from subterfuge.victims.resemblyzer import net as _resemblyzer_net
from subterfuge.victims.resemblyzer.net import embed, lifted, load_encoder, pieces

pytestmark = pytest.mark.skipif(find_spec("resemblyzer") is None, reason="pip install --no-deps resemblyzer==0.1.4")
ANNA, BEN, CLEO = "en-us+f3", "en-us+m3", "en+Andrea"
QUICK = Quietest(starts=(np.inf,), even=0, climb=60, resort=1, race=(10,), keep=())


def wheel(inside: str) -> Path:
    return _speech_wheel.wheel_file("resemblyzer", "resemblyzer", inside)


def card(folder: Path, more: str = 'enrolled = ["a.wav"]', rate: int = RATE) -> Path:
    path = folder / "card.toml"
    path.write_text(f'schema = 1\nkind = "resemblyzer"\nsample_rate = {rate}\n{more}\n')
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips of three speakers."""
    place = tmp_path_factory.mktemp("voices")
    for name, voice in (("anna", ANNA), ("ben", BEN), ("cleo", CLEO)):
        speech_file(place / f"{name}.wav", voice, SAYS[1])
    return place


@pytest.fixture(scope="module")
def keeper(folder: Path) -> resemblyzer.ResemblyzerVictim:
    found = load_victim(card(folder, 'enrolled = ["anna.wav"]'))
    assert isinstance(found, resemblyzer.ResemblyzerVictim)
    return found


def buzz(path: Path, pitch_hz: float = 120) -> Path:
    """Write half a second of something that has an embedding."""
    time = np.arange(RATE // 2) / RATE
    soundfile.write(path, 0.1 * np.sign(np.sin(2 * np.pi * pitch_hz * time)), RATE)
    return path


def noise(samples: int, rows: int = 1) -> torch.Tensor:
    return 0.01 * torch.randn(rows, samples, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def original() -> Any:
    """The wheel's own encoder; only its front end, which needs webrtcvad, is librosa's here as it is there."""

    def front(wave: NDArray[np.float32]) -> NDArray[np.float32]:
        return librosa.feature.melspectrogram(y=wave, sr=16000, n_fft=400, hop_length=160, n_mels=40).astype("f4").T

    audio = ModuleType("resemblyzer.audio")
    audio.wav_to_mel_spectrogram = front  # type: ignore[attr-defined]
    package = ModuleType("resemblyzer")
    package.audio = audio  # type: ignore[attr-defined]
    modules = {"": package, ".audio": audio, ".hparams": by_path("hparams", wheel("hparams.py"))}
    path = wheel("voice_encoder.py")
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, f"resemblyzer{name}", module)
        code = by_path("voice_encoder", path)
    return code.VoiceEncoder("cpu", verbose=False, weights_fpath=wheel("pretrained.pt"))


@pytest.mark.parametrize("samples", [1, 4800, 25600, 33000, 45001])
def test_the_embedding_is_the_one_that_the_wheel_gives(original: Any, samples: int) -> None:
    encoder, factor = load_encoder(wheel("pretrained.pt"))
    speech = torch.cat([spoken(ANNA), spoken(BEN), noise(30000)[0]])[:samples]
    mine = embed(encoder, speech[None], normalise=False)[0].numpy()
    np.testing.assert_allclose(mine, original.embed_utterance(speech.numpy()), rtol=0, atol=2e-6)
    assert factor == pytest.approx(70.8929, abs=1e-4)


def test_pieces_begin_where_the_wheel_begins_them(original: Any) -> None:
    for samples in (*range(1, 200000, 1777), 25600, 25599, 25601):
        _, slices = original.compute_partial_slices(samples, 1.3, 0.75)
        assert pieces(samples) == [each.start for each in slices], samples


def test_the_front_end_is_librosas_mel_power() -> None:
    speech = spoken(ANNA)
    mine = melspectrogram(speech, sample_rate=16000, n_fft=400, hop_length=160, n_mels=40).numpy()
    theirs = librosa.feature.melspectrogram(y=speech.numpy(), sr=16000, n_fft=400, hop_length=160, n_mels=40)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6 * theirs.max())


def test_quiet_sounds_are_lifted_to_30_db_below_full_scale_and_loud_ones_left() -> None:
    sounds = torch.cat([noise(4000), 0.3 * noise(4000), 20 * noise(4000), torch.zeros(1, 4000)]).double()
    levels = 20 * lifted(sounds).square().mean(-1).sqrt().log10()
    assert levels[:2].tolist() == pytest.approx([-30, -30], abs=1e-9)
    assert torch.equal(lifted(sounds)[2:], sounds[2:])


def test_a_speaker_is_let_in_with_other_words_and_others_are_not(keeper: resemblyzer.ResemblyzerVictim) -> None:
    assert keeper.labels == ("other", "enrolled")
    for voice, expected in ((ANNA, 1), (BEN, 0), (CLEO, 0)):
        wave = spoken(voice, SAYS[2])[None]
        assert int(keeper.decide(wave)) == expected
        over = float(keeper.cosines(wave)) - keeper.threshold
        assert keeper.scores(wave)[0].tolist() == pytest.approx([-keeper.factor * over, keeper.factor * over], rel=1e-4)


def test_of_several_speakers_each_is_told_and_a_stranger_is_unknown(folder: Path) -> None:
    who = load_victim(card(folder, 'speakers = { anna = ["anna.wav"], ben = ["ben.wav"] }'))
    assert who.labels == ("unknown", "anna", "ben")
    said = [who.labels[int(who.decide(spoken(voice, SAYS[2])[None]))] for voice in (ANNA, BEN, CLEO)]
    assert said == ["anna", "ben", "unknown"]
    assert who.probabilities(spoken(ANNA)[None]) is None


def test_a_speaker_is_the_mean_of_the_enrolled_clips(folder: Path) -> None:
    speech_file(folder / "anna2.wav", ANNA, SAYS[2])
    one, two, both = (
        load_victim(card(folder, f"enrolled = {clips}\nthreshold = 0"))
        for clips in ('["anna.wav"]', '["anna2.wav"]', '["anna.wav", "anna2.wav"]')
    )
    assert isinstance(one, resemblyzer.ResemblyzerVictim)
    assert isinstance(two, resemblyzer.ResemblyzerVictim)
    assert isinstance(both, resemblyzer.ResemblyzerVictim)
    mean = one.enrolled + two.enrolled
    torch.testing.assert_close(both.enrolled, mean / mean.norm())
    assert len({one.fingerprint, two.fingerprint, both.fingerprint}) == 3


def test_gradients_are_finite_differences(folder: Path) -> None:
    who = load_victim(card(folder, 'speakers = { anna = ["anna.wav"], ben = ["ben.wav"] }'))
    slope = slopes_at(who, 0.05 * spoken(CLEO)[None, 4000:8000], 0)
    assert slope.exact
    assert slope.error < 1e-4


def test_long_clips_have_the_same_scores_and_gradients_in_lots(
    keeper: resemblyzer.ResemblyzerVictim, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for lot in (64, 2):
        monkeypatch.setattr(_resemblyzer_net, "TOGETHER", lot)
        wave = noise(64000, rows=2).requires_grad_()
        scores = keeper.scores(wave)
        answers.append((scores.detach(), *torch.autograd.grad(scores[:, 1].sum(), wave)))
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-4, atol=1e-4)


def test_a_sound_of_one_sample_and_a_silent_one_are_answered_and_none_is_refused(
    keeper: resemblyzer.ResemblyzerVictim,
) -> None:
    assert keeper.decide(torch.full((1, 1), 0.1)).tolist() == [0]
    assert keeper.decide(torch.zeros(2, 4000)).tolist() == [0, 0]
    with pytest.raises(VictimError, match="no samples"):
        keeper.decide(torch.zeros(1, 0))


def test_the_example_shows_every_key_and_loads(folder: Path) -> None:
    one = tomllib.loads(resemblyzer.EXAMPLE)
    many = tomllib.loads(resemblyzer.EXAMPLE.replace("enrolled = [", "# ").replace("# speakers", "speakers"))
    assert one.keys() | many.keys() == COMMON.keys() | resemblyzer.KEYS.keys()
    assert one["threshold"] == resemblyzer.THRESHOLD
    for clip in one["enrolled"]:
        buzz(folder / clip)
    (folder / "example.toml").write_text(resemblyzer.EXAMPLE)
    assert load_victim(folder / "example.toml").name == "door keeper"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", "one of the keys enrolled = .* and speakers = "),
        ('enrolled = ["a.wav"]\nspeakers = { a = ["a.wav"] }', "one of the keys"),
        ("enrolled = []", "enrolled = .*; a list of one or more paths"),
        ("enrolled = [1]", "enrolled is 1, where a text was expected"),
        ('enrolled = ["b.wav"]', 'clip of enrolled = "b.wav", but there is no file'),
        ('enrolled = ["text.wav"]', "the clip of enrolled cannot be enrolled: .*text.wav"),
        ('enrolled = ["a.wav"]\nthreshold = 1.5', "threshold = 1.5; a cosine from -1 to 1"),
        ('enrolled = ["a.wav"]\nlabels = ["a", "b", "c"]', "labels has 3 entries; with enrolled two"),
        ('speakers = { anna = "a.wav" }', "speakers.anna = 'a.wav'; a list"),
        ('labels = ["unknown", "ben"]\nspeakers = { anna = ["a.wav"] }', "labels are unknown, ben; .* unknown, anna"),
        ("speakers = {}", "labels has 1 entries"),
        ('speakers = { unknown = ["a.wav"] }', "'unknown' stands twice"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(tmp_path: Path, more: str, says: str) -> None:
    buzz(tmp_path / "a.wav")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(CardError, match=says):
        load_victim(card(tmp_path, more))


def test_another_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="sample_rate = 22050; Resemblyzer hears at 16000 Hz"):
        load_victim(card(tmp_path, rate=22050))


def test_without_the_wheel_the_pip_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buzz(tmp_path / "a.wav")
    monkeypatch.setattr(_speech_wheel, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install --no-deps resemblyzer==0\.1\.4"):
        load_victim(card(tmp_path))


def test_a_damaged_file_of_weights_and_another_network_are_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.pt").write_bytes(b"no weights")
    torch.save({"model_state": {"similarity_weight": torch.ones(1)}}, tmp_path / "other.pt")
    for name in ("damaged.pt", "other.pt"):
        with pytest.raises(MissingExtra, match=rf"{name} does not hold the encoder .*resemblyzer==0\.1\.4"):
            load_encoder(tmp_path / name)


def test_weights_that_want_to_run_code_are_refused(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"model_state": Runs()}, tmp_path / "hostile.pt")
    with pytest.raises(MissingExtra, match="does not hold"):
        load_encoder(tmp_path / "hostile.pt")
    assert not (tmp_path / "ran").exists()


def test_an_attack_makes_another_voice_the_enrolled_one(
    tmp_path: Path, keeper: resemblyzer.ResemblyzerVictim, original: Any
) -> None:
    clip = Clip.of(spoken(CLEO, SAYS[2]).double().numpy(), RATE, name="cleo")
    outcome = attack(clip, keeper, Threat(goal=Targeted("enrolled")), by=QUICK, out=tmp_path, control=0)
    assert outcome.won
    assert outcome.snr_db is not None
    assert outcome.snr_db > 20
    written = Clip.read(next(tmp_path.glob("*.wav"))).mono(RATE)
    assert float(original.embed_utterance(written) @ keeper.enrolled[0].numpy()) > keeper.threshold


def test_a_voice_says_the_same_words_the_same_way_and_an_unknown_one_is_told() -> None:
    speak = speaker().speak
    (once, rate), (again, _) = speak("Yes.", "en-us+f2"), speak("Yes.", "en-us+f2")
    assert rate == 22050
    assert np.array_equal(once, again)
    assert np.abs(once).max() > 0.1
    with pytest.raises(ValueError, match="no variant 'f99'"):
        speak("Yes.", "en-us+f99")
    with pytest.raises(ValueError, match="no voice 'nobody'"):
        speak("Yes.", "nobody")
