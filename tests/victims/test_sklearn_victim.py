"""A scikit-learn victim answers what librosa and scikit-learn answer by hand, and its twin what it answers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import noisereduce
import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC

from subterfuge.audio import Clip
from subterfuge.errors import CardError, VictimError
from subterfuge.training.demo_data import embedded_card, embedded_clips
from subterfuge.training.seed_study_cards import cards
from subterfuge.victim import Gives, Kind, Victim, duels_of, winner
from subterfuge.victims import load_victim
from subterfuge.victims.check.gradient import slopes_at
from subterfuge.victims.sklearn import SklearnTwin, SklearnVictim

NAMES = ["cel", "flu", "tru"]


def scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


ZOO: dict[str, tuple[Callable[[], Any], Kind, bool]] = {
    "SVC": (lambda: scaled(SVC()), Kind.DUELS, True),
    "SVC with ties broken": (lambda: scaled(SVC(break_ties=True)), Kind.DUELS, True),
    "SVC with probability": (lambda: scaled(SVC(probability=True, random_state=0)), Kind.DUELS, True),
    "NuSVC": (lambda: scaled(NuSVC(nu=0.2)), Kind.DUELS, True),
    "searched SVC": (lambda: GridSearchCV(scaled(SVC()), {"svc__C": [1, 10]}, cv=2), Kind.DUELS, True),
    "calibrated SVC": (lambda: scaled(CalibratedClassifierCV(SVC(), cv=2)), Kind.LOG_PROBABILITY, True),
    "calibrated NuSVC": (lambda: CalibratedClassifierCV(scaled(NuSVC(nu=0.2)), cv=2), Kind.LOG_PROBABILITY, True),
    "LinearSVC": (lambda: scaled(LinearSVC(random_state=0)), Kind.DECISION, True),
    "logistic": (lambda: scaled(LogisticRegression()), Kind.DECISION, True),
    "ridge": (lambda: scaled(RidgeClassifier()), Kind.DECISION, True),
    "Bayes": (lambda: scaled(GaussianNB()), Kind.LOG_PROBABILITY, True),
    "quadratic": (
        lambda: scaled(make_pipeline(PCA(4), QuadraticDiscriminantAnalysis(reg_param=0.5))),
        Kind.DECISION,
        True,
    ),
    "network": (
        lambda: scaled(MLPClassifier((5,), random_state=0, max_iter=30, tol=1.0)),
        Kind.LOG_PROBABILITY,
        True,
    ),
    "neighbours": (lambda: scaled(KNeighborsClassifier(3)), Kind.LOG_PROBABILITY, False),
    "forest": (lambda: RandomForestClassifier(5, random_state=0), Kind.LOG_PROBABILITY, True),
    "hard vote": (
        lambda: VotingClassifier([("a", scaled(RidgeClassifier())), ("b", scaled(LinearSVC()))]),
        Kind.DECISION,
        False,
    ),
}


@pytest.fixture(params=ZOO)
def zoo(request: pytest.FixtureRequest, table, model_card) -> tuple[Any, Victim, Kind, bool]:
    make, kind, has_twin = ZOO[request.param]
    model = make().fit(table.X, table.y)
    return model, load_victim(model_card(model, labels=NAMES), trust_pickle=True), kind, has_twin


def test_any_classifier_answers_as_it_does_by_hand_and_so_does_its_twin(zoo, table) -> None:
    model, victim, kind, has_twin = zoo
    waves = torch.from_numpy(table.waves[:12])
    np.testing.assert_array_equal(victim.decide(waves).numpy(), model.predict(table.X[:12]))
    assert victim.kind == kind
    assert (victim.twin is not None) == has_twin == (victim.no_twin is None)
    chances = victim.probabilities(waves)
    assert (chances is not None) == hasattr(model, "predict_proba")
    if chances is not None:
        np.testing.assert_allclose(chances.numpy(), model.predict_proba(table.X[:12]), rtol=0, atol=1e-12)
    if victim.gives == Gives.LABELS:
        with pytest.raises(VictimError, match="gives labels only, and scores were asked for"):
            victim.scores(waves)
        return
    scores = victim.scores(waves)
    best = winner(scores) if kind == Kind.DUELS else scores.argmax(-1)
    assert torch.equal(best, victim.decide(waves)) or "break_ties=True" in repr(model)
    if has_twin:
        assert torch.equal(victim.twin.decide(waves), victim.decide(waves))
        if victim.twin.kind == kind:
            spread = float(scores.max() - scores.min())
            torch.testing.assert_close(victim.twin.scores(waves), scores, rtol=0, atol=1e-4 * spread)
        if chances is not None:
            torch.testing.assert_close(victim.twin.probabilities(waves), chances, rtol=0, atol=1e-4)


def test_a_model_without_scores_gives_labels_and_says_why_it_has_no_twin(table, model_card) -> None:
    model = ZOO["hard vote"][0]().fit(table.X, table.y)
    victim = load_victim(model_card(model, labels=NAMES), trust_pickle=True)
    assert (victim.gives, victim.probabilities(torch.from_numpy(table.waves[:1]))) == (Gives.LABELS, None)
    assert "no twin of VotingClassifier is written" in victim.no_twin


@pytest.mark.parametrize("probability", [False, True])
def test_an_svc_has_probabilities_only_if_it_was_fitted_for_them(probability, table, model_card) -> None:
    model = scaled(SVC(probability=True, random_state=0) if probability else SVC()).fit(table.X, table.y)
    victim = load_victim(model_card(model, labels=NAMES))
    chances = victim.probabilities(torch.from_numpy(table.waves[:2]))
    assert (chances is not None) == probability == (victim.twin.probabilities(torch.zeros(1, 4000)) is not None)


@pytest.mark.parametrize("words", [np.array(["a", "b", "c"]), np.array([7, 3, 11]), np.array(["a", "b", "c"], object)])
def test_labels_stand_in_the_order_of_the_models_classes(words, table, model_card) -> None:
    model = scaled(SVC()).fit(table.X, words[table.y])
    victim = load_victim(model_card(model, labels=NAMES))
    waves = torch.from_numpy(table.waves[:9])
    places = [model.classes_.tolist().index(said) for said in model.predict(table.X[:9]).tolist()]
    assert victim.decide(waves).tolist() == victim.twin.decide(waves).tolist() == places
    assert victim.labels == ("cel", "flu", "tru")


def test_two_classes_are_one_duel_whose_sign_is_the_first_classs(table, model_card) -> None:
    two = table.y < 2
    model = scaled(SVC()).fit(table.X[two], table.y[two])
    victim = load_victim(model_card(model, labels=["a", "b"]))
    waves, X = torch.from_numpy(table.waves[:12]), table.X[:12]
    duels = victim.scores(waves)
    np.testing.assert_allclose(duels[:, 0, 1].numpy(), -model.decision_function(X), rtol=0, atol=1e-12)
    assert torch.equal(duels, -duels.mT)
    torch.testing.assert_close(victim.twin.scores(waves), duels, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(victim.decide(waves).numpy(), model.predict(X))
    assert torch.equal(winner(duels), victim.decide(waves))


def test_two_classes_of_a_linear_model_have_two_scores(table, model_card) -> None:
    two = table.y < 2
    model = scaled(LogisticRegression()).fit(table.X[two], table.y[two])
    victim = load_victim(model_card(model, labels=["a", "b"]))
    waves = torch.from_numpy(table.waves[:6])
    value = model.decision_function(table.X[:6])
    np.testing.assert_allclose(victim.scores(waves).numpy(), np.stack([-value, value], 1), rtol=0, atol=1e-12)
    difference = duels_of(victim.twin.scores(waves))[:, 1, 0].numpy()
    assert np.array_equal(np.sign(difference), np.sign(value))


def test_a_scaler_may_change_the_number_of_features(table, model_card) -> None:
    scaler = make_pipeline(StandardScaler(), PCA(4)).fit(table.X)
    model = SVC().fit(scaler.transform(table.X), table.y)
    victim = load_victim(model_card(model, scaler, labels=NAMES))
    waves = torch.from_numpy(table.waves[:9])
    np.testing.assert_array_equal(victim.decide(waves).numpy(), model.predict(scaler.transform(table.X[:9])))
    assert torch.equal(victim.twin.decide(waves), victim.decide(waves))


def test_a_frozen_svc_votes_as_itself(table, model_card) -> None:
    inner = scaled(SVC(decision_function_shape="ovo")).fit(table.X, table.y)
    victim = load_victim(model_card(FrozenEstimator(inner), labels=NAMES), trust_pickle=True)
    waves = torch.from_numpy(table.waves[:5])
    values = inner.decision_function(table.X[:5])
    assert victim.kind == Kind.DUELS
    np.testing.assert_allclose(victim.scores(waves)[:, [0, 0, 1], [1, 2, 2]].numpy(), values, rtol=0, atol=1e-12)


def test_asking_for_duels_leaves_the_model_as_it_was_even_from_many_threads(table, model_card) -> None:
    model = scaled(SVC()).fit(table.X, table.y)
    victim = load_victim(model_card(model, labels=NAMES))
    before = copy.deepcopy(vars(victim.estimator[-1]))
    wave = torch.from_numpy(table.waves[:1])
    expected = victim.scores(wave)
    with ThreadPoolExecutor(4) as pool:
        every = list(pool.map(lambda _: victim.scores(wave), range(24)))
    assert all(torch.equal(each, expected) for each in every)
    assert victim.estimator[-1].decision_function_shape == before["decision_function_shape"] == "ovr"
    assert victim.estimator.decision_function(table.X[:2]).shape == (2, 3)


def test_a_wave_that_is_not_finite_is_the_victims_error(table, model_card) -> None:
    victim = load_victim(model_card(scaled(SVC()).fit(table.X, table.y), labels=NAMES, name="mine"))
    with pytest.raises(VictimError, match="the victim mine died in its features: ParameterError"):
        victim.decide(torch.full((1, 4000), torch.nan))


def test_an_answer_outside_the_classes_is_the_victims_error(table, model_card) -> None:
    victim = load_victim(model_card(scaled(SVC()).fit(table.X, table.y), labels=NAMES))
    victim.estimator[-1].classes_ = np.array([0, 1, 9])
    _ = victim._places
    victim.estimator[-1].classes_ = np.array([5, 6, 7])
    with pytest.raises(VictimError, match=r"of its classes \[0, 1, 9\] were expected"):
        victim.decide(torch.from_numpy(table.waves[:2]))


def test_the_fingerprint_changes_with_everything_that_an_answer_depends_on(table, model_card) -> None:
    one, other = SVC().fit(table.X, table.y), SVC(C=2).fit(table.X, table.y)
    scaler = StandardScaler().fit(table.X)
    prints = [
        load_victim(model_card(model, scale, labels=labels, sample_rate=rate, preprocess=filtered)).fingerprint
        for model, scale, labels, rate, filtered in [
            (one, None, NAMES, 22050, None),
            (other, None, NAMES, 22050, None),
            (one, scaler, NAMES, 22050, None),
            (one, None, ["x", *NAMES[1:]], 22050, None),
            (one, None, NAMES, 44100, None),
            (one, None, NAMES, 22050, "noisereduce"),
        ]
    ]
    assert len(set(prints)) == len(prints)
    again = load_victim(model_card(one, labels=NAMES, name="other name"))
    assert again.fingerprint == prints[0]


STUDY = {"tuned": "", "noisy": "_noisy", "denoise": "_denoise"}


@pytest.fixture(scope="module", params=STUDY)
def study(request: pytest.FixtureRequest, seed_study: Path, tmp_path_factory) -> tuple[SklearnVictim, Any, Any, Any]:
    folder = tmp_path_factory.mktemp("study")
    (folder / "models").symlink_to(seed_study / "models")
    path = folder / f"{request.param}.toml"
    path.write_text(cards()[path.name][0], encoding="utf-8")
    models, suffix = seed_study / "models", STUDY[request.param]
    model = joblib.load(models / f"their_tuned_model{suffix}.pkl")
    scaler = joblib.load(models / f"std_scaler{suffix}.bin")
    before = noisereduce.reduce_noise if request.param == "denoise" else lambda y, sr: y
    return load_victim(path), model, scaler, before


def waves_of(seed_study: Path) -> list[np.ndarray]:
    dice = np.random.default_rng(0)
    clips = [Clip.read(path).mono(44100) for path in sorted((seed_study / "clips").glob("*.wav"))]
    return [*clips, (0.1 * dice.normal(size=20000)).astype(np.float32)]


def test_the_studys_models_answer_as_librosa_and_scikit_learn_do(study, seed_study, features_by_hand) -> None:
    victim, model, scaler, before = study
    assert "1.3.2" in victim.warnings[0]
    for wave in waves_of(seed_study):
        x = scaler.transform([features_by_hand(before(y=wave, sr=44100), 44100)])
        asked = torch.from_numpy(wave)[None]
        np.testing.assert_allclose(victim.features(asked), x, rtol=0, atol=1e-5)
        assert victim.decide(asked).tolist() == model.predict(x).tolist()
        np.testing.assert_allclose(victim.probabilities(asked).numpy(), model.predict_proba(x), rtol=0, atol=1e-6)


def test_the_studys_twins_are_as_near_as_float32_features_allow(study, seed_study) -> None:
    victim, _, scaler, _ = study
    for wave in waves_of(seed_study):
        asked = torch.from_numpy(wave)[None]
        twin = scaler.transform(victim.twin.features(asked).numpy())
        assert np.abs(twin - victim.features(asked)).max() < 1e-5
        torch.testing.assert_close(victim.twin.scores(asked), victim.scores(asked), rtol=0, atol=1e-5)
        torch.testing.assert_close(victim.twin.probabilities(asked), victim.probabilities(asked), rtol=0, atol=1e-5)
        assert torch.equal(victim.twin.decide(asked), victim.decide(asked))


def test_a_denoised_victims_gradient_goes_through_its_filter(seed_study, tmp_path) -> None:
    victim = denoised(seed_study, tmp_path)
    asked = torch.from_numpy(waves_of(seed_study)[0][:30000])[None].double()
    asked = asked + 1e-4 * torch.randn(asked.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert victim.twin.warnings == ()
    assert victim.twin.unfiltered() is victim.twin
    slope = slopes_at(victim.twin, asked, 0)
    assert slope.exact
    assert slope.error < 1e-3
    assert slope.stand_ins < 1


def test_who_does_not_know_the_filter_has_the_gradient_at_the_filtered_wave(seed_study, tmp_path) -> None:
    victim = denoised(seed_study, tmp_path)
    blind = victim.twin.straight_through()
    assert blind.straight_through() is blind
    assert blind.warnings == ("gradients pass noisereduce as if it did nothing",)
    wave = waves_of(seed_study)[0][:60000]
    asked = torch.from_numpy(wave)[None].requires_grad_()
    filtered = torch.from_numpy(np.array(noisereduce.reduce_noise(y=wave, sr=44100)))[None].requires_grad_()
    torch.testing.assert_close(blind.scores(asked), victim.twin.scores(asked), rtol=0, atol=1e-6)
    (slope,) = torch.autograd.grad(blind.scores(asked)[0, 0].sum(), asked)
    (there,) = torch.autograd.grad(blind.unfiltered().scores(filtered)[0, 0].sum(), filtered)
    (through,) = torch.autograd.grad(victim.twin.scores(asked)[0, 0].sum(), asked)
    assert torch.equal(slope, there)
    assert float((slope - through).norm()) > 0.1 * float(through.norm())


def denoised(seed_study: Path, folder: Path) -> SklearnVictim:
    (folder / "models").symlink_to(seed_study / "models")
    (folder / "denoise.toml").write_text(cards()["denoise.toml"][0], encoding="utf-8")
    return load_victim(folder / "denoise.toml")


def test_a_filter_that_refuses_the_rate_is_a_mistake_of_the_card(table, model_card) -> None:
    card = model_card(SVC().fit(table.X, table.y), labels=NAMES, sample_rate=4000, preprocess="noisereduce")
    with pytest.raises(CardError, match=r'preprocess = "noisereduce" cannot be done at sample_rate = 4000: .*5120 to'):
        load_victim(card)


def test_the_embedded_victim_answers_its_clips_and_so_does_its_twin(features_by_hand) -> None:
    victim = load_victim(embedded_card())
    assert isinstance(victim, SklearnVictim)
    assert isinstance(victim.twin, SklearnTwin)
    for path in embedded_clips()[::4]:
        wave = Clip.read(path).mono(44100)
        asked, x = torch.from_numpy(wave)[None], features_by_hand(wave, 44100)[None]
        assert [victim.labels[int(victim.decide(asked))]] == victim.estimator.predict(x).tolist() == [path.name[1:4]]
        chances = victim.estimator.predict_proba(x)
        np.testing.assert_allclose(victim.probabilities(asked).numpy(), chances, rtol=0, atol=1e-6)
        np.testing.assert_allclose(victim.twin.probabilities(asked).numpy(), chances, rtol=0, atol=1e-5)
        assert torch.equal(victim.twin.decide(asked), victim.decide(asked))


def test_what_has_no_stand_in_has_its_own_slope(table, model_card) -> None:
    victim = load_victim(model_card(scaled(SVC()).fit(table.X, table.y), labels=NAMES))
    at = torch.from_numpy(table.waves[2:3]).double()
    smooth = victim.twin.without_stand_ins(at)
    torch.testing.assert_close(smooth(at), victim.twin.scores(at))
    point = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(smooth(point)[0, 0, 1], point)
    along = torch.randn(at.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    h = 1e-7
    with torch.no_grad():
        by_steps = float((smooth(at + h * along) - smooth(at - h * along))[0, 0, 1]) / (2 * h)
    assert float((slope * along).sum()) == pytest.approx(by_steps, rel=1e-4)
