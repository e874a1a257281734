"""Honest model files of every kind load, and answer as the models that were saved."""

from __future__ import annotations

import bz2
import copy
import gzip
import hashlib
import json
import lzma
import pickle
import warnings
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    PassiveAggressiveClassifier,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    LabelBinarizer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from subterfuge.errors import CardError, UntrustedModel
from subterfuge.victims.modelfile import load_model

DICE = np.random.default_rng(0)
Y = np.repeat([0, 1, 2], 20)
X = np.abs(DICE.normal(size=(60, 5)) + Y[:, None])

SVM, LOGISTIC = SVC(), LogisticRegression()
MODELS: dict[str, Any] = {
    "standard scaler": StandardScaler(),
    "min-max scaler": MinMaxScaler(),
    "robust scaler": RobustScaler(),
    "max-abs scaler": MaxAbsScaler(),
    "normalizer": Normalizer(),
    "power transformer": PowerTransformer(),
    "quantile transformer": QuantileTransformer(n_quantiles=10, random_state=0),
    "imputer": SimpleImputer(),
    "PCA": PCA(3),
    "select k best": SelectKBest(k=2),
    "variance threshold": VarianceThreshold(),
    "SVC": SVC(),
    "SVC, linear": SVC(kernel="linear"),
    "SVC with a random state": SVC(random_state=np.random.RandomState(3)),
    "NuSVC": NuSVC(),
    "LinearSVC": LinearSVC(),
    "logistic": LOGISTIC,
    "logistic CV": LogisticRegressionCV(Cs=2, cv=3, scoring="accuracy", use_legacy_attributes=False, l1_ratios=(0.0,)),
    "SGD hinge": SGDClassifier(random_state=0),
    "SGD log loss": SGDClassifier(loss="log_loss", random_state=0),
    "SGD Huber": SGDClassifier(loss="modified_huber", random_state=0),
    "ridge": RidgeClassifier(),
    "ridge CV": RidgeClassifierCV(),
    "perceptron": Perceptron(random_state=0),
    "MLP": MLPClassifier((4,), max_iter=2, random_state=0),
    "MLP by SGD": MLPClassifier((4,), max_iter=2, solver="sgd", random_state=0),
    "Gaussian naive Bayes": GaussianNB(),
    "Bernoulli naive Bayes": BernoulliNB(),
    "multinomial naive Bayes": MultinomialNB(),
    "LDA": LinearDiscriminantAnalysis(),
    "QDA": QuadraticDiscriminantAnalysis(),
    "calibrated, sigmoid": CalibratedClassifierCV(LinearSVC(), cv=3),
    "calibrated, isotonic": CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=3),
    "tree": DecisionTreeClassifier(random_state=0),
    "extra tree": ExtraTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(3, random_state=0),
    "extra trees": ExtraTreesClassifier(3, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=2, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2, random_state=0),
    "AdaBoost": AdaBoostClassifier(n_estimators=2, random_state=0),
    "bagging": BaggingClassifier(n_estimators=2, random_state=0),
    "voting": VotingClassifier([("a", SVM), ("b", LOGISTIC)]),
    "stacking": StackingClassifier([("a", SVM), ("b", LOGISTIC)], cv=3),
    "neighbours, k-d tree": KNeighborsClassifier(algorithm="kd_tree"),
    "neighbours, ball tree": KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    "neighbours, brute": KNeighborsClassifier(algorithm="brute"),
    "nearest centroid": NearestCentroid(),
    "one versus rest": OneVsRestClassifier(SVM),
    "one versus one": OneVsOneClassifier(SVM),
    "grid search": GridSearchCV(SVM, {"C": [1, 2]}, cv=StratifiedKFold(3)),
    "random search": RandomizedSearchCV(SVM, {"C": [1, 2]}, n_iter=1, random_state=0, scoring="accuracy", cv=3),
    "dummy": DummyClassifier(),
    "pipeline": make_pipeline(StandardScaler(), PCA(2), SVC()),
    "union": Pipeline([("u", FeatureUnion([("a", StandardScaler()), ("b", PCA(2))])), ("s", SVC())]),
    "columns": ColumnTransformer([("a", StandardScaler(), [0, 1]), ("b", "passthrough", slice(2, 4))]),
    "label encoder": LabelEncoder(),
    "label binarizer": LabelBinarizer(),
}
NOT_IN_SKOPS = {"neighbours, k-d tree", "neighbours, ball tree"}


@cache
def fitted(name: str) -> Any:
    model = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence
        return model.fit(Y) if name.startswith("label") else model.fit(X, Y)


def answers(name: str, model: Any) -> list[np.ndarray]:
    ways = ("predict", "predict_proba", "decision_function", "transform")
    return [getattr(model, way)(Y if name.startswith("label") else X) for way in ways if hasattr(model, way)]


def saved(place: Path, model: Any, form: object) -> Path:
    path = place / "model"
    if form == "skops":
        skops.io.dump(model, path)
    elif isinstance(form, int):
        path.write_bytes(pickle.dumps(model, form))
    else:
        joblib.dump(model, path, **form)  # type: ignore[arg-type]
    return path


def assert_answers_alike(name: str, path: Path) -> None:
    loaded = load_model(path)
    assert type(loaded.estimator) is type(fitted(name))
    for got, want in zip(answers(name, loaded.estimator), answers(name, fitted(name)), strict=True):
        np.testing.assert_array_equal(got, want)
    assert loaded.warnings == ()


@pytest.mark.parametrize("form", [2, 5, {"compress": 3}], ids=["protocol 2", "protocol 5", "joblib"])
@pytest.mark.parametrize("name", MODELS)
def test_every_known_model_comes_back_from_pickle_and_joblib(name: str, form: object, tmp_path: Path) -> None:
    assert_answers_alike(name, saved(tmp_path, fitted(name), form))


@pytest.mark.parametrize("name", sorted(MODELS.keys() - NOT_IN_SKOPS))
def test_every_model_without_neighbour_trees_comes_back_from_skops(name: str, tmp_path: Path) -> None:
    assert_answers_alike(name, saved(tmp_path, fitted(name), "skops"))


FORMS = [0, 1, 2, 3, 4, 5, {}, {"protocol": 0}, {"protocol": 2}] + [
    {"compress": (way, 3)} for way in ("zlib", "gzip", "bz2", "xz", "lzma")
]


@pytest.mark.parametrize("name", ["pipeline", "forest", "grid search", "neighbours, k-d tree"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_protocol_and_compression_loads(name: str, form: object, tmp_path: Path) -> None:
    assert_answers_alike(name, saved(tmp_path, fitted(name), form))


@pytest.mark.parametrize("press", [gzip.compress, bz2.compress, lzma.compress])
def test_a_plain_pickle_that_was_compressed_by_hand_loads(press: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.anything"
    path.write_bytes(press(pickle.dumps(fitted("SVC"))))
    assert_answers_alike("SVC", path)


def test_labels_of_text_survive_whatever_their_dtype(tmp_path: Path) -> None:
    for labels in (Y.astype(str), Y.astype(str).astype(object)):
        model = LogisticRegression().fit(X, labels)
        for form in (0, 5, {}, "skops"):
            loaded: Any = load_model(saved(tmp_path, model, form)).estimator
            np.testing.assert_array_equal(loaded.classes_, model.classes_)
            assert loaded.classes_.dtype == model.classes_.dtype


ARRAYS = {
    "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "a slice": np.arange(12.0).reshape(3, 4)[:, 1:3],
    "swapped axes": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    "big endian": np.arange(5, dtype=">i4"),
    "no dimension": np.array(3.0),
    "empty": np.empty((0, 4)),
    "bytes": np.array([b"ab", b"c"]),
    "a record": np.array([(1, 2.5)], dtype=[("a", "i8"), ("b", "f4")]),
    "an aligned record": np.array([(1, 2.5)], dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "objects": np.array([1, "two", None, [3.0]], dtype=object),
    "masked": np.ma.masked_array([1.0, 2.0], [False, True]),
}


@pytest.mark.parametrize("form", [0, 2, 4, 5, {}, {"compress": 3}], ids=str)
@pytest.mark.parametrize("name", ARRAYS)
def test_every_kind_of_array_comes_back(name: str, form: object, tmp_path: Path) -> None:
    path = saved(tmp_path, {"array": ARRAYS[name], "again": ARRAYS[name].dtype}, form)
    got: Any = load_model(path).estimator
    want: Any = load_model(path, trust_pickle=True).estimator
    assert type(got["array"]) is type(want["array"])
    np.testing.assert_array_equal(got["array"], ARRAYS[name])
    assert got["array"].dtype == want["array"].dtype
    assert got["array"].flags.writeable == want["array"].flags.writeable
    assert got["again"] == ARRAYS[name].dtype


def test_a_random_generator_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    for dice in (np.random.RandomState(5), np.random.default_rng(5)):
        dice.uniform(size=7)
        loaded: Any = load_model(saved(tmp_path, dice, 4)).estimator
        np.testing.assert_array_equal(loaded.uniform(size=9), dice.uniform(size=9))


def test_a_shared_object_stays_shared(tmp_path: Path) -> None:
    table = np.arange(4.0)
    first, second = load_model(saved(tmp_path, [table, table], 4)).estimator  # type: ignore[misc]
    assert first is second


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, fitted("SVC"), {"compress": 3})
    assert load_model(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_of_another_scikit_learn_says_so_in_one_sentence(tmp_path: Path) -> None:
    version = sklearn.__version__
    other = "0" * len(version)
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps(fitted("pipeline")).replace(version.encode(), other.encode()))
    assert load_model(path).warnings == (
        f"Saved with scikit-learn {other}, loaded with {version} (StandardScaler, PCA, SVC, Pipeline).",
    )


def aged(path: Path, *, skops_version: str = "0.16.0", protocol: int | None = None, sklearn_version: str = "1") -> Path:
    """Write other versions into a skops file."""
    with zipfile.ZipFile(path) as pack:
        parts = {name: pack.read(name) for name in pack.namelist()}
    text = (
        parts["schema.json"]
        .decode()
        .replace(json.dumps(f'"{sklearn.__version__}"'), json.dumps(f'"{sklearn_version}"'))
    )
    schema = json.loads(text)
    schema |= {"_skops_version": skops_version, "protocol": schema["protocol"] if protocol is None else protocol}
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in {**parts, "schema.json": json.dumps(schema).encode()}.items():
            pack.writestr(name, content)
    return path


def test_a_skops_file_of_a_newer_scikit_learn_loads_and_says_so(tmp_path: Path) -> None:
    path = aged(saved(tmp_path, fitted("forest"), "skops"), sklearn_version="99.1")
    loaded: Any = load_model(path)
    np.testing.assert_array_equal(loaded.estimator.predict(X), fitted("forest").predict(X))
    assert loaded.warnings == (
        f"Saved with scikit-learn 99.1, loaded with {sklearn.__version__} (DecisionTreeClassifier, "
        "RandomForestClassifier), which is older: it may answer otherwise.",
    )


def test_a_pickle_of_a_newer_scikit_learn_loads_and_says_so(tmp_path: Path) -> None:
    version = sklearn.__version__
    later = "9" + version[1:]
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps(fitted("SVC")).replace(version.encode(), later.encode()))
    (sentence,) = load_model(path).warnings
    assert sentence.startswith(f"Saved with scikit-learn {later}, loaded with {version} (SVC), which is older")


def test_a_skops_file_of_a_newer_skops_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = aged(saved(tmp_path, fitted("SVC"), "skops"), skops_version="99.2", protocol=99)
    with pytest.raises(
        CardError, match=r"cannot be loaded \(.*protocol 99.*It was saved with skops 99\.2, and .*pip install -U skops"
    ):
        load_model(path)


@pytest.mark.parametrize("form", ["skops", 2, 5, {"compress": 3}], ids=str)
def test_a_class_that_only_a_newer_scikit_learn_has_is_refused_with_both_versions(form: object, tmp_path: Path) -> None:
    version = sklearn.__version__
    later = "9" + version[1:]
    path = saved(tmp_path, fitted("SVC"), {} if isinstance(form, dict) else form)
    if form == "skops":
        aged(path, sklearn_version=later)
        with zipfile.ZipFile(path) as pack:
            parts = {name: pack.read(name) for name in pack.namelist()}
        parts["schema.json"] = parts["schema.json"].replace(b'"SVC"', b'"SVX"')
        with zipfile.ZipFile(path, "w") as pack:
            for name, content in parts.items():
                pack.writestr(name, content)
    else:
        raw = path.read_bytes().replace(version.encode(), later.encode()).replace(b"SVC", b"SVX")
        path.write_bytes(zlib.compress(raw) if isinstance(form, dict) else raw)
    with pytest.raises(UntrustedModel, match=rf"SVX.*saved with scikit-learn {later}, and {version} is installed here"):
        load_model(path)


@pytest.mark.parametrize("form", ["skops", 5], ids=str)
def test_a_model_that_lacks_what_a_newer_scikit_learn_no_longer_saves_is_refused_with_both_versions(
    form: object, tmp_path: Path
) -> None:
    version = sklearn.__version__
    later = "9" + version[1:]
    model = copy.deepcopy(fitted("SVC"))
    del model._probA
    path = saved(tmp_path, model, form)
    if form == "skops":
        aged(path, sklearn_version=later)
    else:
        path.write_bytes(path.read_bytes().replace(version.encode(), later.encode()))
    with pytest.raises(CardError, match=rf"_probA.*saved with scikit-learn {later}, and {version} is installed here"):
        load_model(path)


def test_a_deprecation_met_while_loading_becomes_a_sentence(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        path = saved(tmp_path, PassiveAggressiveClassifier().fit(X, Y), "skops")
    (sentence,) = load_model(path).warnings
    assert sentence.startswith("FutureWarning: Class PassiveAggressiveClassifier is deprecated")


@pytest.mark.parametrize("which", ["", "_noisy", "_denoise"])
def test_the_studys_models_load_and_predict(which: str, seed_study: Path) -> None:
    scaler = load_model(seed_study / "models" / f"std_scaler{which}.bin")
    model = load_model(seed_study / "models" / f"their_tuned_model{which}.pkl")
    assert scaler.warnings[0].startswith("Saved with scikit-learn 1.3.2, loaded with ")
    assert model.warnings[0].endswith("(SVC).")
    points: Any = scaler.estimator.mean_ + np.linspace(-1, 1, 8)[:, None]  # type: ignore[attr-defined]
    truth = [
        load_model(seed_study / "models" / f"{name}{which}.{suffix}", trust_pickle=True).estimator
        for name, suffix in (("std_scaler", "bin"), ("their_tuned_model", "pkl"))
    ]
    got: Any = model.estimator.predict_proba(scaler.estimator.transform(points))  # type: ignore[attr-defined]
    want: Any = truth[1].predict_proba(truth[0].transform(points))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(got, want)
    assert got.shape == (8, 11)
