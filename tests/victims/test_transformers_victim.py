"""Hugging Face classifiers on a card: heard as the library hears, with gradients, and no code or pickle of theirs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.victims.hf_models import LABELS, MODELS, RATE, save_model, write_card
from torch import Tensor
from transformers.utils import logging

from subterfuge.attacks.quietest import Quietest
from subterfuge.driver import attack
from subterfuge.errors import CardError, MissingExtra, VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import load_victim
from subterfuge.victims.check.gradient import slopes_at
from subterfuge.victims.transformers.front import Found, front_of

ROUNDING = {"rtol": 1e-5, "atol": 2e-5}
COARSE = {"rtol": 1e-3, "atol": 1e-4}
"""For the extractor of Wav2Vec2-BERT, which means and divides float32 logarithms."""


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder a kind of model, with a card and, in ``model``, what save_pretrained writes."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in MODELS}
    for kind, folder in made.items():
        save_model(folder / "model", kind)
        write_card(folder)
    return made


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copy such a folder, to spoil it."""

    def copy(kind: str = "wav2vec2") -> Path:
        shutil.copytree(folders[kind], tmp_path / kind)
        return tmp_path / kind

    return copy


@pytest.fixture(scope="session")
def victims(folders: dict[str, Path]) -> dict[str, Victim]:
    return {kind: load_victim(folder / "card.toml") for kind, folder in folders.items()}


def waves(length: int = 8000, rows: int = 3) -> Tensor:
    dice = torch.Generator().manual_seed(3)
    loud = torch.tensor([0.1, 0.01, 0.3, 0.05])[:rows, None]
    return loud * torch.randn(rows, length, generator=dice) + 0.2 * torch.sin(torch.arange(length) * 0.2)


def original(folder: Path, rows: Tensor) -> Tensor:
    """Ask the library, clip by clip, as its documentation does."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder / "model")
    logging.disable_progress_bar()
    model = transformers.AutoModelForAudioClassification.from_pretrained(folder / "model").eval()
    logging.enable_progress_bar()
    with torch.no_grad():
        heard = [extractor(row.numpy(), sampling_rate=RATE, return_tensors="pt") for row in rows]
        return torch.cat([model(**each).logits for each in heard])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("length", [4000, 7777, 18001])
def test_victim_and_twin_answer_what_the_library_answers(
    folders: dict[str, Path], victims: dict[str, Victim], kind: str, length: int
) -> None:
    victim, rows = victims[kind], waves(length)
    told = original(folders[kind], rows)
    assert (victim.labels, victim.kind, victim.gives) == (LABELS, Kind.DECISION, Gives.SCORES)
    torch.testing.assert_close(victim.scores(rows), told, **ROUNDING)
    assert torch.equal(victim.decide(rows), told.argmax(-1))
    torch.testing.assert_close(victim.probabilities(rows), told.softmax(-1), **ROUNDING)
    assert victim.twin is not None
    torch.testing.assert_close(victim.twin.scores(rows), told, **(COARSE if kind == "bert" else ROUNDING))
    assert torch.equal(victim.twin.decide(rows), told.argmax(-1))


@pytest.mark.parametrize("kind", MODELS)
def test_the_twins_gradient_is_that_of_finite_differences(victims: dict[str, Victim], kind: str) -> None:
    twin = victims[kind].twin
    assert twin is not None
    slope = slopes_at(twin, waves()[:1], 0)
    assert slope.exact
    assert slope.error < 1e-6


@pytest.mark.parametrize("kind", MODELS)
def test_a_clip_does_not_feel_its_batch(victims: dict[str, Victim], kind: str) -> None:
    for one in (victims[kind], victims[kind].twin):
        assert one is not None
        alone = torch.cat([one.scores(row[None]) for row in waves()])
        torch.testing.assert_close(one.scores(waves()), alone, **ROUNDING)


@pytest.mark.parametrize("kind", ["ast", "wav2vec2", "hubert"])
def test_an_attack_wins_on_the_written_file_as_the_library_hears_it(
    folders: dict[str, Path], victims: dict[str, Victim], kind: str, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", waves(8000, 1)[0].numpy(), RATE, subtype="PCM_16")
    quick = Quietest(starts=(40.0,), even=0, climb=60, resort=1, race=(10, 20), keep=(1,))
    outcome = attack(tmp_path / "a.wav", victims[kind], by=quick, control=0, out=tmp_path / "b.wav")
    said = []
    for name in "ab":
        samples, rate = soundfile.read(tmp_path / f"{name}.wav", dtype="float32")
        assert rate == RATE
        said.append(LABELS[int(original(folders[kind], torch.from_numpy(samples)[None]).argmax())])
    assert outcome.won
    assert [outcome.predicted_before, outcome.predicted] == said
    assert said[0] != said[1]
    assert outcome.file_snr_db is not None
    assert outcome.file_snr_db > 20


@pytest.mark.parametrize("length", [300, 400, 401, 20000])
def test_the_front_end_of_ast_fills_up_and_cuts_as_the_extractor_does(victims: dict[str, Victim], length: int) -> None:
    victim: Any = victims["ast"]
    for wave in (waves(length, 1), torch.zeros(1, length)):
        true, guess = victim.hears(wave), victim.twin.hears(wave)
        torch.testing.assert_close(guess["input_values"], true["input_values"], rtol=1e-5, atol=1e-6)


def test_where_torchaudio_is_the_front_end_of_ast_has_kaldis_frames_whatever_the_rate() -> None:
    extractor = transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=48)
    own = front_of(extractor).front
    del extractor.mel_filters, extractor.window  # as where the library finds torchaudio
    assert own is not None
    found = front_of(extractor).front
    assert found is not None
    torch.testing.assert_close(found(waves())["input_values"], own(waves())["input_values"])
    extractor.sampling_rate = 32000
    other: Any = front_of(extractor)
    assert (len(other.front.fbank.window), other.front.fbank.hop, other.front.fbank.n_fft) == (800, 320, 1024)


@pytest.mark.parametrize(("kind", "heard"), [("ast", 47 * 160 + 400), ("whisper", 16000)])
def test_what_lies_beyond_the_end_is_not_heard_and_the_warning_says_so(
    victims: dict[str, Victim], kind: str, heard: int
) -> None:
    victim, whole = victims[kind], waves(20000)
    assert [note.split(" (")[0] for note in victim.warnings] == [
        f"it hears the first {heard / RATE:.2f} s of a clip; what lies beyond is not heard"
    ]
    assert victim.twin is not None
    torch.testing.assert_close(victim.scores(whole), victim.scores(whole[:, :heard]), **ROUNDING)
    point = whole.clone().requires_grad_()
    (slope,) = torch.autograd.grad(victim.twin.scores(point).square().sum(), point)
    assert bool((slope[:, heard:] == 0).all())
    assert bool((slope[:, :heard].abs().amax(1) > 0).all())


def test_models_of_any_length_have_no_such_warning(victims: dict[str, Victim]) -> None:
    assert [victims[kind].warnings for kind in ("wav2vec2", "hubert", "wavlm", "bert")] == [(), (), (), ()]


@pytest.mark.parametrize(("window_seconds", "lost"), [(0.3, False), (0.495, False), (0.6, True)])
def test_in_windows_only_what_lies_beyond_in_each_is_told(
    folders: dict[str, Path], tmp_path: Path, window_seconds: float, lost: bool
) -> None:
    (tmp_path / "windowed.toml").write_text(
        f'schema = 1\nkind = "windowed"\nsample_rate = {RATE}\nvictim = "{folders["ast"] / "card.toml"}"\n'
        f"window_seconds = {window_seconds}\n"
    )
    told = load_victim(tmp_path / "windowed.toml").warnings
    assert [note.split(";")[0] for note in told] == (
        [f"of each window of {window_seconds} s, what it wraps hears the first 0.495 s"] if lost else []
    )


def test_an_output_of_the_card_that_the_model_contradicts_is_told(copied: Callable[[str], Path]) -> None:
    folder = copied("hubert")
    change(folder / "model" / "config.json", problem_type="multi_label_classification")
    assert load_victim(write_card(folder, output="tag logits")).warnings == ()
    assert load_victim(write_card(folder, output="logits")).warnings == (
        'output = "logits" is the card\'s; the model says problem_type = multi_label_classification, which is "tag '
        'logits"',
    )


def test_one_output_stands_for_the_second_of_two_labels(copied: Callable[[str], Path]) -> None:
    folder = copied("hubert")
    path = folder / "model" / "model.safetensors"
    held = load_file(path)
    whole = load_victim(folder / "card.toml").scores(waves())
    last = {key: value[1:2].clone() for key, value in held.items() if key.startswith("classifier.")}
    save_file(held | last, path, {"format": "pt"})
    change(folder / "model" / "config.json", id2label={"0": "drum"}, label2id={"drum": 0})
    assert "has one output (drum); write two labels on the card" in refusal(folder)
    assert "write two labels" in refusal(folder, labels=["a", "b", "c"])
    victim = load_victim(write_card(folder, labels=["none", "drum"]))
    for each in (victim, victim.twin):
        assert each is not None
        torch.testing.assert_close(each.probabilities(waves())[:, 1], whole[:, 1].sigmoid(), **ROUNDING)
    assert 'use output = "logits" with two labels' in refusal(folder, labels=["none", "drum"], output="tag logits")


def test_a_model_of_several_labels_gives_tag_logits(copied: Callable[[str], Path]) -> None:
    folder = copied("hubert")
    change(folder / "model" / "config.json", problem_type="multi_label_classification")
    victim = load_victim(folder / "card.toml")
    assert victim.kind == Kind.TAGS
    torch.testing.assert_close(victim.probabilities(waves()), victim.scores(waves()).sigmoid())
    assert load_victim(write_card(folder, output="logits")).kind == Kind.DECISION


def test_labels_of_the_card_are_used_and_the_models_own_are_told(copied: Callable[[str], Path]) -> None:
    victim = load_victim(write_card(copied("wav2vec2"), labels=["a", "b", "c"]))
    assert victim.labels == ("a", "b", "c")
    assert victim.warnings == ("labels are the card's; the model calls them bell, drum, flute",)


def test_an_extractor_that_draws_noise_has_no_twin_and_says_why(tmp_path: Path) -> None:
    save_model(tmp_path / "model", "whisper", dither=1e-4)
    victim: Any = load_victim(write_card(tmp_path))
    assert victim.twin is None
    assert victim.no_twin == "its extractor adds new noise to every question (dither = 0.0001)"


def test_an_extractor_that_nobody_re_expressed_is_named() -> None:
    found = front_of(transformers.ClapFeatureExtractor())
    assert found.front is None
    assert str(found.why).startswith("its extractor, ClapFeatureExtractor, has no differentiable re-expression")


def test_a_front_end_that_hears_otherwise_is_no_twin_and_one_that_is_a_little_off_is_told(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(by: float) -> Any:
        monkeypatch.setattr(
            "subterfuge.victims.transformers.front_of",
            lambda extractor: Found(lambda wave: {"input_values": (1 + by) * wave}),
        )
        return load_victim(folders["wavlm"] / "card.toml")

    assert off(0.0).warnings == ()
    assert off(1e-3).twin is not None
    assert "twin and truth differ by 0.00057 of the spread of what is heard" in off(1e-3).warnings[-1]
    assert off(0.1).twin is None
    assert off(0.1).no_twin == "its extractor and the re-expression of it differ by 0.057 of their spread"


def test_half_precision_weights_answer_as_they_are_and_the_twin_says_how_far_it_is(
    copied: Callable[[str], Path],
) -> None:
    folder = copied("wav2vec2")
    weights = folder / "model" / "model.safetensors"
    save_file({key: value.half() for key, value in load_file(weights).items()}, weights, {"format": "pt"})
    change(folder / "model" / "config.json", dtype="float16")
    victim: Any = load_victim(folder / "card.toml")
    assert {each.dtype for each in victim.model.parameters()} == {torch.float16}
    assert victim.twin.scores(waves()).dtype == victim.scores(waves()).dtype == torch.float32
    torch.testing.assert_close(victim.scores(waves()), victim.twin.scores(waves()), rtol=0.02, atol=0.02)
    assert [note.split(";")[0].split(" by ")[0] for note in victim.warnings] == [
        "its weights are float16",
        "twin and truth differ",
    ]


def test_the_fingerprint_follows_weights_output_and_labels(copied: Callable[[str], Path]) -> None:
    folder = copied("hubert")
    prints = [load_victim(write_card(folder, **keys)).fingerprint for keys in ({}, {}, {"output": "tag logits"})]
    assert prints[0] == prints[1] != prints[2]
    prints.append(load_victim(write_card(folder, labels=["a", "b", "c"])).fingerprint)
    save_model(folder / "model", "hubert", seed=1)
    prints.append(load_victim(write_card(folder)).fingerprint)
    assert len(set(prints)) == 4


def test_loading_leaves_the_librarys_words_as_they_were_and_prints_nothing(
    folders: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_victim(folders["ast"] / "card.toml").decide(waves())
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capsys.readouterr() == ("", "")


def test_a_clip_that_is_too_short_for_the_model_is_the_victims_error(victims: dict[str, Victim]) -> None:
    with pytest.raises(VictimError, match=r'died on 3 waves of 10 samples, .* kind "windowed" around it fills short'):
        victims["wav2vec2"].decide(waves(10))


# what is wrong with a card or a model


def change(path: Path, **keys: Any) -> None:
    told = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(told | keys))


def refusal(folder: Path, **keys: Any) -> str:
    with pytest.raises(CardError) as found:
        load_victim(write_card(folder, **keys))
    return str(found.value)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"sample_rate": 8000}, ["sample_rate = 8000", "sampling_rate = 16000"]),
        ({"model": "nowhere"}, ["there is no folder", "relative to the card"]),
        ({"model": "card.toml"}, ['model = "card.toml" is a file', "save_pretrained"]),
        ({"revision": "main"}, ['revision = "main"', "is a folder"]),
        ({"output": "probabilities"}, ['output = "probabilities"', "tag logits"]),
        ({"probe_seconds": 0}, ["probe_seconds = 0", "up to 60 s"]),
        ({"probe_seconds": 0.001}, ["asked 0.001 s of noise", "died on 1 wave of 16 samples:"]),
        ({"labels": ["a", "b"]}, ["labels has 2 entries", "3 outputs", "bell, drum, flute"]),
        ({"labels": ["drum", "bell", "flute"]}, ["in another order", "bell, drum, flute"]),
    ],
)
def test_a_card_that_the_model_contradicts_is_refused(
    copied: Callable[[str], Path], keys: dict[str, Any], says: list[str]
) -> None:
    told = refusal(copied("wav2vec2"), **keys)
    assert all(word in told for word in says), told


def test_a_folder_without_a_preprocessor_is_refused_and_told_how_to_write_one(copied: Callable[[str], Path]) -> None:
    folder = copied("wav2vec2")
    (folder / "model" / "preprocessor_config.json").unlink()
    told = refusal(folder)
    assert "holds no preprocessor_config.json" in told
    assert "AutoFeatureExtractor.from_pretrained" in told


def test_a_folder_of_pickled_weights_is_refused_unread(copied: Callable[[str], Path]) -> None:
    folder = copied("wav2vec2")
    (folder / "model" / "model.safetensors").unlink()
    assert "no model.safetensors, and so no weights" in refusal(folder)
    (folder / "model" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch run'\ntR.")
    told = refusal(folder)
    assert "holds pytorch_model.bin and no model.safetensors" in told
    assert "save_pretrained" in told


def test_labels_whose_places_are_not_the_outputs_are_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("wav2vec2")
    change(folder / "model" / "config.json", id2label={"0": "bell", "5": "drum", "2": "flute"})
    assert "the keys of id2label in config.json are 0, 2, 5, where 0 to 2 were expected" in refusal(folder)
    victim = load_victim(write_card(folder, labels=["bell", "drum", "flute"]))
    assert victim.labels == ("bell", "drum", "flute")
    assert "the keys of the model's own (id2label) are 0, 2, 5" in victim.warnings[0]


def test_a_configuration_of_another_model_is_told_with_the_shapes_that_differ(copied: Callable[[str], Path]) -> None:
    folder = copied("wav2vec2")
    change(folder / "model" / "config.json", id2label={str(place): str(place) for place in range(4)})
    told = refusal(folder)
    assert "its config.json and its weights are of different models" in told
    assert "classifier.weight is (3, 8) in the weights and (4, 8) by config.json" in told


@pytest.mark.parametrize(
    ("kind", "keys", "says"),
    [
        ("wav2vec2", {"sampling_rate": "16000"}, 'says sampling_rate = "16000"; a number from 1 to 1000000 was'),
        ("ast", {"max_length": 2 * 10**9}, "says max_length = 2000000000; a number from 1 to 2000000 was expected"),
        ("ast", {"max_length": 10**6, "num_mel_bins": 1000}, "asks by max_length * num_mel_bins for 1e+09 numbers"),
        ("ast", {"max_length": 96}, "max_length is 96 in preprocessor_config.json and 48 in config.json"),
        ("ast", {"std": 0}, "says std = 0, by which every sound would be divided"),
        ("ast", {"mean": float("nan")}, "says mean = nan; a finite number was expected"),
        ("whisper", {"chunk_length": 10**9}, "says chunk_length = 1000000000; a number from 1 to 3600"),
        ("whisper", {"chunk_length": 3600, "hop_length": 1}, "asks by chunk_length, hop_length and n_fft for"),
        ("whisper", {"feature_size": 10**7}, "says feature_size = 10000000"),
        ("bert", {"stride": 10**9}, "says stride = 1000000000; a number from 1 to 1024 was expected"),
    ],
)
def test_an_extractor_of_senseless_numbers_is_refused_before_any_sound_is_heard(
    copied: Callable[[str], Path], kind: str, keys: dict[str, Any], says: str
) -> None:
    folder = copied(kind)
    change(folder / "model" / "preprocessor_config.json", **keys)
    assert says in refusal(folder)


def test_numbers_nested_in_a_processors_configuration_are_looked_at_too(copied: Callable[[str], Path]) -> None:
    folder = copied("whisper")
    change(folder / "model" / "processor_config.json", feature_extractor={"chunk_length": 10**9})
    assert "its processor_config.json says chunk_length = 1000000000" in refusal(folder)


def test_code_that_a_model_brings_is_never_run(copied: Callable[[str], Path]) -> None:
    folder = copied("wav2vec2")
    ran = folder / "ran"
    (folder / "model" / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Net: pass\n")
    names = {"AutoConfig": "own.Net", "AutoModelForAudioClassification": "own.Net", "AutoFeatureExtractor": "own.Net"}
    change(folder / "model" / "config.json", auto_map=names)
    change(folder / "model" / "preprocessor_config.json", auto_map=names)
    (note,) = load_victim(folder / "card.toml").warnings
    assert "code of its own (auto_map), not run: Wav2Vec2ForSequenceClassification is used" in note
    change(folder / "model" / "config.json", model_type="own")
    assert "needs code of its own (auto_map in its configuration), which is never run" in refusal(folder)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "keys", "says"),
    [
        ("config.json", {"attn_implementation": "someone/kernel"}, "which may be fetched and run"),
        ("config.json", {"transformers_weights": "other.safetensors"}, "names weights of its own"),
        ("adapter_config.json", {"base_model_name_or_path": "someone/else"}, "holds an adapter (PEFT)"),
    ],
)
def test_what_would_be_fetched_from_elsewhere_is_refused(
    copied: Callable[[str], Path], name: str, keys: dict[str, str], says: str
) -> None:
    folder = copied("wav2vec2")
    change(folder / "model" / name, **keys)
    assert says in refusal(folder)


def test_weights_in_several_files_are_read_if_all_are_safetensors(copied: Callable[[str], Path]) -> None:
    folder = copied("hubert")
    whole = load_victim(folder / "card.toml").scores(waves())
    place = folder / "model"
    names = sorted(load_file(place / "model.safetensors"))
    weights, parts = load_file(place / "model.safetensors"), {}
    for part, some in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{part:05d}-of-00002.safetensors"
        save_file({name: weights[name] for name in some}, place / file, {"format": "pt"})
        parts |= dict.fromkeys(some, file)
    (place / "model.safetensors").unlink()
    change(place / "model.safetensors.index.json", metadata={}, weight_map=parts)
    assert torch.equal(load_victim(folder / "card.toml").scores(waves()), whole)
    for wrong in ("pytorch_model.bin", "../model-1.safetensors", "model-00003-of-00002.safetensors"):
        (place / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch run'\ntR.")
        change(place / "model.safetensors.index.json", weight_map=parts | {names[0]: wrong})
        assert f"names {wrong}, which is none of its model-*.safetensors" in refusal(folder)


def test_weights_without_a_classifier_are_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("wav2vec2")
    path = folder / "model" / "model.safetensors"
    weights = load_file(path)
    save_file({key: value for key, value in weights.items() if "classifier" not in key}, path, {"format": "pt"})
    assert "lack classifier.bias, classifier.weight of Wav2Vec2ForSequenceClassification" in refusal(folder)
    save_file(weights | {"decoder": torch.ones(2)}, path, {"format": "pt"})
    (note,) = load_victim(folder / "card.toml").warnings
    assert note == "its weights hold decoder, which the model does not use"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.json", None, "holds no config.json"),
        ("config.json", "{", "its config.json is no JSON"),
        ("config.json", "[]", "its config.json is a list, where an object was expected"),
        ("config.json", '{"model_type": "bert"}', "cannot be loaded"),
        ("config.json", '{"model_type": "nobody"}', "cannot be loaded"),
        ("preprocessor_config.json", '{"feature_extractor_type": "Nobody"}', "cannot be loaded"),
        ("model.safetensors", "no tensors", "cannot be loaded"),
    ],
)
def test_a_damaged_folder_is_refused_in_a_sentence(
    copied: Callable[[str], Path], name: str, text: str | None, says: str
) -> None:
    folder = copied("wav2vec2")
    (folder / "model" / name).unlink()
    if text is not None:
        (folder / "model" / name).write_text(text)
    told = refusal(folder)
    assert says in told
    assert 'model = "model"' in told
    assert "\n" not in told


def test_a_name_on_the_hub_is_fetched_without_pickles_or_code(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def snapshot_download(name: str, **rest: Any) -> str:
        asked.append((name, rest["revision"], rest["allow_patterns"]))
        return str(folders["hubert"] / "model")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    victim = load_victim(write_card(tmp_path, model="someone/ears", revision="v2"))
    ((name, revision, patterns),) = asked
    assert (name, revision, victim.labels) == ("someone/ears", "v2", LABELS)
    assert all(pattern.endswith((".json", ".safetensors")) for pattern in patterns)


def test_a_hub_that_cannot_be_reached_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    told = refusal(tmp_path, model="someone/ears", revision="v2")
    assert 'model = "someone/ears" is no folder beside the card, and the hub did not give it at revision = "v2"' in told
    assert "fetch it elsewhere and give the folder" in told


def test_without_the_library_the_card_names_the_extra(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sonic-subterfuge\[transformers\]'"):
        load_victim(folders["ast"] / "card.toml")
