"""Each defence becomes a card that loads, wears what it says, and learned nothing of what it is tried on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.harden.kit import sounds
from tests.world import LABELS, card

from subterfuge.audio import Clip
from subterfuge.errors import InputError
from subterfuge.harden.adversarial import hard_features, worst_within
from subterfuge.harden.build import Workshop, can_train, defended, undefended
from subterfuge.harden.defences import parse_defence
from subterfuge.harden.refit import fresh
from subterfuge.harden.sides import places_of, sides
from subterfuge.oracle import dice
from subterfuge.training.datasets import read_dataset
from subterfuge.training.examples import Dataset, Example
from subterfuge.training.tables import Table
from subterfuge.training.train import train
from subterfuge.transforms import parse_transforms
from subterfuge.victim import Gives
from subterfuge.victims import load_victim
from subterfuge.victims.sklearn import SklearnVictim

RATE = 44100


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_dataset(sounds(tmp_path_factory.mktemp("sounds"), recordings=4, excerpts=1, rate=RATE))


@pytest.fixture(scope="module")
def svc(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    return train(data.examples[0].path.parent.parent, "svc", out=folder, cache=folder / "cache.parquet", jobs=1).card


@pytest.fixture
def shop(tmp_path: Path, data: Dataset, svc: Path) -> Workshop:
    learned, _, recorded = sides(svc, data, 0, [], True)
    assert recorded
    return Workshop(data, tuple(learned), tmp_path / "out", cache=svc.parent / "cache.parquet")


def answer(path: Path, one: Example) -> str:
    victim = load_victim(path)
    wave = torch.from_numpy(Clip.read(one.path).mono(victim.sample_rate))[None]
    return victim.labels[int(victim.decide(wave)[0])]


def test_recordings_that_were_held_out_stay_so(data: Dataset, svc: Path, shop: Workshop) -> None:
    held = set(json.loads(svc.with_name("svc.training.json").read_text())["held_out"])
    learned, tried, recorded = sides(svc, data, 7, [], True)
    assert recorded
    assert {data.examples[place].group for place in tried} == held
    assert not {data.examples[place].group for place in learned} & held
    assert sorted([*learned, *tried]) == list(range(len(data)))
    again = undefended(load_victim(svc), shop)
    assert set(json.loads(again.with_name("undefended.training.json").read_text())["held_out"]) == held


@pytest.mark.parametrize("damage", ["{", "[]", '{"held_out": null}', '{"held_out": 3}', '{"other": 1}', "\udcff"])
def test_a_record_that_does_not_say_is_told_and_a_quarter_is_held_out(
    tmp_path: Path, data: Dataset, damage: str
) -> None:
    (tmp_path / "it.training.json").write_bytes(damage.encode("utf-8", "surrogateescape"))
    notes: list[str] = []
    learned, tried, recorded = sides(tmp_path / "it.toml", data, 0, notes, True)
    assert (recorded, len(notes)) == (False, 1)
    assert "it is not known what the victim learned" in notes[0]
    groups = [{data.examples[place].group for place in side} for side in (learned, tried)]
    assert not groups[0] & groups[1]
    assert sorted([*learned, *tried]) == list(range(len(data)))


def test_a_class_with_one_recording_is_refused_where_it_would_be_taught_and_tried_on_where_not(
    tmp_path: Path, data: Dataset
) -> None:
    low = next(place for place, one in enumerate(data.examples) if one.label == "low")
    few = data.only([low, *(place for place, one in enumerate(data.examples) if one.label != "low")])
    with pytest.raises(InputError, match="class 'low' has 1 recording"):
        sides(tmp_path / "it.toml", few, 0, [], True)
    notes: list[str] = []
    learned, tried, _ = sides(tmp_path / "it.toml", few, 0, notes, False)
    assert 0 in tried
    assert 0 not in learned
    assert notes == ["classes with one recording, which is tried on: low"]
    alone = data.only([low])
    assert sides(tmp_path / "it.toml", alone, 0, [], False) == ([], [0], False)


def test_places_of_recordings_are_cut_in_two() -> None:
    some = Dataset("", tuple(Example(Path(f"{k}"), "a", group) for k, group in enumerate("xyxz")))
    assert places_of(some, ["x", "q"]) == ([1, 3], [0, 2])


@pytest.mark.parametrize("word", ["requantise=8", "noise-study", "gauss=0.01", "smooth=0.01", "detector", "denoise",
                                  "noise-study+requantise=8+smooth=0.01+detector"])  # fmt: skip
def test_each_defence_is_a_card_that_loads_wears_what_it_says_and_answers(
    word: str, svc: Path, shop: Workshop, data: Dataset
) -> None:
    if "denoise" in word:
        pytest.importorskip("noisereduce", reason="the denoising defence needs noisereduce")
    defence = parse_defence(word)
    path = defended(load_victim(svc), svc, defence, shop)
    victim = load_victim(path)
    assert path.parent == shop.out
    if "detector" in word:
        assert type(victim).__name__ == "DetectorVictim"
        assert victim.labels == (*sorted(LABELS), "suspicious")
        victim = victim.victim
    if "smooth" in word:
        assert (type(victim).__name__, victim.sd) == ("SmoothedVictim", 0.01)
        victim = victim.victim
    if "requantise" in word:
        assert type(victim).__name__ == "ThroughVictim"
        assert [one.name for one in victim.transforms] == ["requantise=8"]
        victim = victim.victim
    assert isinstance(victim, SklearnVictim)
    assert (victim.before is not None) == ("denoise" in word)
    assert answer(path, data.examples[shop.train[0]]) in (*LABELS, "suspicious")
    told = path.read_text()
    assert str(svc.parent) not in told, "paths on a card are relative to it"
    if defence.augment or defence.through:
        bare = next(shop.out.glob("*.training.json"))
        assert json.loads(bare.read_text())["clips"] == len(shop.train)


@pytest.mark.parametrize(
    ("word", "through", "augment"),
    [
        ("noise-study", "", "noise-study"),
        ("smooth=0.01", "", "gauss=0.01"),
        ("noise-study+requantise=8+smooth=0.02", "requantise=8", "noise-study,gauss=0.02"),
        ("denoise+requantise=8", "denoise,requantise=8", ""),
    ],
)
def test_a_defence_is_taught_what_it_will_hear(
    word: str, through: str, augment: str, svc: Path, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    class Asked(Exception):
        """Ends the work once it is known what would be learned."""

    def table(self: Workshop, recipe: str, sample_rate: int, through: str = "", augment: str = "") -> Table:
        asked.append((recipe, through, augment))
        raise Asked

    monkeypatch.setattr(Workshop, "table", table)
    with pytest.raises(Asked):
        defended(load_victim(svc), svc, parse_defence(word), shop)
    assert asked == [("librosa-mean-25", through, augment)]


def test_an_ensemble_asks_several_families(svc: Path, shop: Workshop, data: Dataset) -> None:
    path = defended(load_victim(svc), svc, parse_defence("ensemble"), shop)
    assert type(load_victim(path)).__name__ == "EnsembleVictim"
    assert len(list(shop.out.glob("ensemble.*.skops"))) == 3
    assert answer(path, data.examples[shop.train[0]]) in LABELS


def test_a_victim_that_cannot_be_taught_is_refused_with_the_reason_and_wrapped_where_that_will_do(
    tmp_path: Path, data: Dataset
) -> None:
    path = card(tmp_path / "cards", "scores")
    victim = load_victim(path)
    assert not can_train(victim)
    shop = Workshop(data, (0, 1, 2), tmp_path / "out")
    for word in ("noise", "adversarial", "ensemble"):
        with pytest.raises(InputError, match=rf"{word} teaches the victim anew, and scores \(a PythonVictim\) cannot"):
            defended(victim, path, parse_defence(word), shop)
    assert not shop.out.exists()
    wrapped = load_victim(defended(victim, path, parse_defence("lowpass=2000"), shop))
    assert type(wrapped).__name__ == "ThroughVictim"
    assert [one.name for one in wrapped.transforms] == [one.name for one in parse_transforms("lowpass=2000")]
    assert wrapped.victim.fingerprint == victim.fingerprint


def test_a_support_vector_machine_with_probabilities_becomes_a_calibrated_one_of_the_same_settings() -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    made = fresh(SVC(C=3.0, gamma=0.5, probability=True, random_state=4))
    assert isinstance(made, CalibratedClassifierCV)
    assert (made.method, made.ensemble, made.estimator.probability) == ("sigmoid", False, False)
    assert (made.estimator.C, made.estimator.gamma) == (3.0, 0.5)
    behind = fresh(SVC(C=3.0, probability=True), StandardScaler(with_mean=False))
    scaler, machine = behind.estimator
    assert (scaler.with_mean, machine.C) == (False, 3.0)
    piped = fresh(make_pipeline(StandardScaler(), SVC(C=5.0, probability=True)))
    assert isinstance(piped, CalibratedClassifierCV)
    assert (piped.estimator[-1].probability, piped.estimator[-1].C) == (False, 5.0)
    assert isinstance(fresh(make_pipeline(StandardScaler(), SVC())), Pipeline), "nobody asked for probabilities"
    plain = fresh(SVC(C=2.0))
    assert isinstance(plain, SVC)
    assert plain.C == 2.0


def test_one_recording_of_a_class_to_learn_from_is_told_and_learned(svc: Path) -> None:
    from subterfuge.harden.refit import fitted_like

    die = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 6)
    groups = np.array(["only"] * 6 + [f"b{place}" for place in range(6)])
    table = Table(die.normal(size=(12, 4)) + 3 * (y == "b")[:, None], y, groups, groups, "librosa-mean-25", RATE)
    notes: list[str] = []
    fitted = fitted_like(load_victim(svc), table, 0, notes)  # type: ignore[arg-type]
    assert fitted.labels == ("a", "b")
    assert notes == ["the class a has one recording to learn from, so probabilities were fitted on folds by clip"]
    assert (fitted.estimator.predict(table.X) == y).mean() > 0.8


def test_the_worst_within_a_ratio_stays_within_it_and_lowers_the_margin_of_the_truth(tmp_path: Path) -> None:
    from tests.harden.kit import cases

    victim = load_victim(card(tmp_path / "cards"))
    assert victim.gives is Gives.GRADIENTS
    some = cases(tmp_path, 3)
    waves = torch.stack([torch.from_numpy(Clip.read(case.path).mono(8000)) for case in some])
    classes = torch.tensor([LABELS.index(case.label) for case in some])
    for snr_db, wrong in ((60.0, 0), (15.0, 3)):
        worst = worst_within(victim, waves, classes, snr_db, dice("a seed", 3), steps=8)
        reached = 20 * (waves.norm(dim=-1) / (worst - waves).norm(dim=-1)).log10()
        assert (reached >= snr_db - 0.01).all()
        assert (reached < snr_db + 1.5).all()
        assert int((victim.decide(worst) != classes).sum()) == wrong

        def margin(sound: torch.Tensor) -> torch.Tensor:
            scores = victim.scores(sound)
            others = scores.masked_fill(torch.nn.functional.one_hot(classes, 3).bool(), -torch.inf)
            return scores.gather(1, classes[:, None])[:, 0] - others.amax(1)

        assert (margin(worst) < margin(waves)).all()


def test_adversarial_training_adds_rows_of_the_right_labels_and_leaves_out_what_cannot_be_read(
    tmp_path: Path, data: Dataset
) -> None:
    path = card(tmp_path / "cards")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no sound")
    some = [Example(one.path, one.label, one.group) for one in data.examples[:9]]
    mixed = Dataset("mixed", (*some[:3], Example(broken, "low", "x"), *some[3:8], some[8]))
    last = Dataset("last", (*some[:8], Example(broken, "low", "x")))

    def features(waves: torch.Tensor, sample_rate: int) -> torch.Tensor:
        assert sample_rate == 8000
        return waves[:, :4]

    for one in (mixed, last):
        places = list(range(len(one)))
        x, labels, groups = hard_features(path, one, places, features, strengths_db=(30.0,), steps=2)
        kept = [example for example in one.examples if example.path != broken]
        assert x.shape == (len(kept), 4)
        assert (sorted(labels), sorted(groups)) == (sorted(e.label for e in kept), sorted(e.group for e in kept))
        assert all(group.startswith(label) or label in group for label, group in zip(labels, groups, strict=True))
    with pytest.raises(InputError, match="none of the 1 training clips"):
        hard_features(path, last, [8], features)
    with pytest.raises(InputError, match="needs a victim with gradients, and scores has none"):
        hard_features(card(tmp_path / "cards", "scores"), last, [0], features)


def test_two_rounds_of_adversarial_training_make_a_card_that_answers(
    svc: Path, shop: Workshop, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from subterfuge.harden import build

    sizes: list[dict[str, int]] = []
    fitted = build.fitted_like

    def counted(victim: SklearnVictim, table: Table, seed: int, notes: list[str]) -> object:
        sizes.append({label: int((table.y == label).sum()) for label in table.labels})
        return fitted(victim, table, seed, notes)

    monkeypatch.setattr(build, "fitted_like", counted)
    told: list[str] = []
    shop = Workshop(shop.data, shop.train, shop.out, cache=shop.cache, tell=lambda what, *_: told.append(what))
    path = defended(load_victim(svc), svc, parse_defence("adversarial=30"), shop)
    clean = {label: sum(data.examples[place].label == label for place in shop.train) for label in sorted(LABELS)}
    assert sizes[0] == clean
    for before, after in itertools.pairwise(sizes):
        assert sum(after.values()) > sum(before.values())
        assert all(after[label] >= before[label] for label in clean)
    assert len(sizes) == 1 + build.ROUNDS
    assert "adversarial=30: round 2 of 2" in told
    assert answer(path, data.examples[shop.train[0]]) in LABELS


def test_a_cache_of_another_setup_is_no_answer_and_a_damaged_one_is_refused(
    tmp_path: Path, data: Dataset, svc: Path
) -> None:
    cache = tmp_path / "cache.parquet"
    cache.write_bytes((svc.parent / "cache.parquet").read_bytes())
    rows = tuple(range(3))
    kept = Workshop(data, rows, tmp_path, cache=cache).table("librosa-mean-25", RATE, "requantise=6")
    fresh_ = Workshop(data, rows, tmp_path).table("librosa-mean-25", RATE, "requantise=6")
    plain = Workshop(data, rows, tmp_path, cache=cache).table("librosa-mean-25", RATE)
    assert np.array_equal(kept.X, fresh_.X)
    assert not np.allclose(kept.X, plain.X)
    cache.write_bytes(cache.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cache\.parquet"):
        Workshop(data, rows, tmp_path, cache=cache).table("librosa-mean-25", RATE)


def test_clips_that_cannot_be_described_are_noted_once(tmp_path: Path, data: Dataset) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no sound")
    mixed = Dataset("mixed", (*data.examples[:2], Example(broken, "low", "x")))
    shop = Workshop(mixed, (0, 1, 2), tmp_path)
    for _ in range(2):
        assert len(shop.table("librosa-mean-25", RATE).y) == 2
    assert len(shop.notes) == 1
    assert "broken.wav" in shop.notes[0]
