"""Malicious files of every form are refused, and what they wanted to run does not run.

Each file would create a canary, which must not be there afterwards. That the files have teeth is shown by
unpickling them without guard.
"""

from __future__ import annotations

import copyreg
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeRegressor

from subterfuge.errors import CardError, UntrustedModel
from subterfuge.victims.modelfile import load_model

SYSTEM = f"{os.system.__module__}.system"


class Evil:
    """Pickles as a call of os.system that creates the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch '{self.canary}'",)


class Own:
    """A class that skops can save, and that it does not trust."""

    def __setstate__(self, state: Any) -> None:
        os.system(state["command"])


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pkl"


def refusal(path: Path, canary: Path) -> str:
    with pytest.raises(UntrustedModel) as caught:
        load_model(path)
    assert not canary.exists()
    return str(caught.value)


def assert_bites(path: Path, canary: Path) -> None:
    """Show that Python's own unpickler runs the file."""
    assert not canary.exists()
    pickle.loads(path.read_bytes())
    assert canary.exists()
    canary.unlink()


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + pickle.STACK_GLOBAL


def command(canary: Path) -> bytes:
    touch = f"touch '{canary}'".encode()
    return pickle.BINUNICODE + struct.pack("<I", len(touch)) + touch


def scaler_with(thing: object) -> StandardScaler:
    scaler = StandardScaler().fit(np.eye(3))
    scaler.extra_ = thing
    return scaler


PLACES: dict[str, Callable[[Any], Any]] = {
    "by itself": lambda evil: evil,
    "in a list": lambda evil: [1, [evil]],
    "in an attribute": scaler_with,
    "in a pipeline": lambda evil: make_pipeline(StandardScaler(), evil),
    "as a function": lambda evil: FunctionTransformer(evil),
    "in an array of objects": lambda evil: np.array([evil, 1], dtype=object),
    "in an attribute's array of objects": lambda evil: scaler_with(np.array([[evil]], dtype=object)),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", PLACES)
def test_a_call_of_the_shell_in_a_pickle_is_refused(place: str, protocol: int, path: Path, canary: Path) -> None:
    path.write_bytes(pickle.dumps(PLACES[place](Evil(canary)), protocol))
    assert SYSTEM in refusal(path, canary)
    assert_bites(path, canary)


@pytest.mark.parametrize("compress", [0, *[(way, 3) for way in ("zlib", "gzip", "bz2", "xz", "lzma")]], ids=str)
@pytest.mark.parametrize("place", PLACES)
def test_a_call_of_the_shell_in_a_joblib_file_is_refused(place: str, compress: Any, path: Path, canary: Path) -> None:
    joblib.dump(PLACES[place](Evil(canary)), path, compress=compress)
    assert SYSTEM in refusal(path, canary)
    assert not canary.exists()
    joblib.load(path)
    assert canary.exists()


def test_a_call_behind_large_arrays_in_a_joblib_file_is_found(path: Path, canary: Path) -> None:
    joblib.dump([np.arange(99.0), np.array([{"a": np.arange(5)}], object), np.eye(7), Evil(canary)], path)
    assert SYSTEM in refusal(path, canary)


def test_the_refusal_names_everything_and_says_what_to_do(path: Path, canary: Path) -> None:
    things = [Evil(canary), eval, FunctionTransformer(os.path.join), b"".join, Own]
    path.write_bytes(pickle.dumps(things, 4))
    message = refusal(path, canary)
    for word in (
        str(path),
        SYSTEM,
        "builtins.eval",
        "posixpath.join",
        "builtins.getattr",
        "skops",
        "safetensors",
    ):
        assert word in message
    assert "--trust-pickle" in message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn.svm._classes", "SVC.__init__.__globals__"),
        ("sklearn.svm._base", "os.system"),
        ("sklearn.utils", "os.system"),
        ("numpy", "f2py.os.system"),
        ("joblib.numpy_pickle", "os.system"),
        ("sklearn", "svm._classes.SVC"),
        ("sklearn.svm", "SVC"),
        ("sklearn.svm._classes", "SVCX"),
        ("sklearn.svm._classesx", "SVC"),
        ("sklearn.utils._testing", "set_random_state"),
        ("sklearn.externals._packaging.version", "parse"),
        ("functools", "partial"),
        ("operator", "methodcaller"),
        ("builtins", "getattr"),
        ("builtins", "eval"),
        ("numpy", "load"),
        ("numpy.testing._private.utils", "runstring"),
        ("joblib", "load"),
        ("joblib.numpy_pickle", "NDArrayWrapper"),
        ("joblib.numpy_pickle_compat", "ZNDArrayWrapper"),
        ("joblib.memory", "Memory"),
        ("sklearn.metrics._dist_metrics", "PyFuncDistance64"),
    ],
)
def test_only_exact_names_are_known(module: str, name: str, path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x04" + named(module, name) + b".")
    assert f"{module}.{name}" in refusal(path, canary)
    path.write_bytes(f"c{module}\n{name}\n.".encode())
    assert f"{module}.{name}" in refusal(path, canary)


def streams(canary: Path) -> dict[str, bytes]:
    """Give hand-made streams, each of which runs the shell when Python unpickles it."""
    run = command(canary)
    shell = named("os", "system")
    return {
        "a dotted name": named("joblib.numpy_pickle", "os.system") + run + b"\x85R.",
        "INST": b"(" + run + b"ios\nsystem\n.",
        "OBJ": b"(" + shell + run + b"o.",
        "a call in the memo": shell + b"\x940" + run + b"\x85\x94" + b"0h\x00h\x01R.",
        "a call that is thrown away": shell + run + b"\x85R0N.",
        "a copy of the name on the stack": shell + b"2" + run + b"\x85R.",
        "a call in a key": b"}" + shell + run + b"\x85RK\x01s.",
        "a call before the end of a broken file": shell + run + b"\x85R" + b"\xff",
        "an array whose bytes are a call": named("numpy._core.multiarray", "_reconstruct")
        + named("numpy", "ndarray")
        + b"K\x00\x85C\x01b\x87R(K\x01K\x01\x85"
        + named("numpy", "dtype")
        + text("O8")
        + b"\x89\x88\x87R\x89]"
        + shell
        + run
        + b"\x85Ratb.",
        "an attribute that is a call": named("sklearn.preprocessing._data", "StandardScaler")
        + b")\x81}"
        + text("mean_")
        + shell
        + run
        + b"\x85Rsb.",
    }


@pytest.mark.parametrize("name", streams(Path()))
def test_a_hand_made_stream_is_refused(name: str, path: Path, canary: Path) -> None:
    path.write_bytes(b"\x80\x04" + streams(canary)[name])
    refusal(path, canary)
    with nullcontext() if "broken" not in name else pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())
    assert canary.exists()


def test_a_scalar_that_nests_a_pickle_is_refused_although_all_its_names_are_known(path: Path, canary: Path) -> None:
    nested = pickle.dumps(Evil(canary))
    scalar = named("numpy._core.multiarray", "scalar") + OBJECTS
    path.write_bytes(b"\x80\x04" + scalar + pickle.BINBYTES + struct.pack("<I", len(nested)) + nested + b"\x86R.")
    assert "a numpy scalar that is no number" in refusal(path, canary)


def test_the_extension_registry_is_not_asked(path: Path, canary: Path) -> None:
    copyreg.add_extension("os", "system", 240)
    try:
        for code in (b"\x82\xf0", b"\x83\xf0\x00", b"\x84\xf0\x00\x00\x00"):
            path.write_bytes(b"\x80\x04" + code + command(canary) + b"\x85R.")
            assert "an extension code (240)" in refusal(path, canary)
            assert_bites(path, canary)
    finally:
        copyreg.remove_extension("os", "system", 240)


SVC_CLASS = named("sklearn.svm._classes", "SVC")
SCALER = named("sklearn.preprocessing._data", "StandardScaler")
BUNCH = named("sklearn.utils._bunch", "Bunch")
DTYPE = named("numpy", "dtype")
RECONSTRUCT = named("numpy._core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
OBJECTS = DTYPE + text("O8") + b"\x89\x88\x87R"
PLAIN = b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
KNOWN_NAMES_ONLY = {
    "a state for a class": SVC_CLASS + b"}" + text("predict") + b"Nsb.",
    "slots for a class": SVC_CLASS + b"N}" + text("predict") + b"Ns\x86b.",
    "a state for a list": b"]}b.",
    "a call of a class": SVC_CLASS + b")R.",
    "a call of a function": named("sklearn.metrics._classification", "accuracy_score") + b")R.",
    "a call of an instance": SVC_CLASS + b")\x81)R.",
    "a new instance of a type": named("numpy", "ndarray") + b"K\x01\x85\x81.",
    "a new instance with arguments": SVC_CLASS + b"K\x01\x85\x81.",
    "a new instance with keywords": SVC_CLASS + b")}\x92.",
    "two states for one instance": SCALER + b")\x81}b}b.",
    "slots for an instance": SCALER + b")\x81N}" + text("x") + b"Ns\x86b.",
    "another class for an instance": SCALER + b")\x81}" + text("__class__") + SVC_CLASS + b"sb.",
    "an instance over another base": named("copyreg", "_reconstructor")
    + SVC_CLASS
    + named("builtins", "str")
    + b"N\x87R.",
    "an array of a class": named("numpy._core.multiarray", "_reconstruct") + SVC_CLASS + b"K\x00\x85C\x01b\x87R.",
    "objects made of bytes": RECONSTRUCT + b"(K\x01K\x01\x85" + OBJECTS + b"\x89C\x08AAAAAAAAtb.",
    "objects made of a buffer": named("numpy._core.numeric", "_frombuffer")
    + b"(C\x08AAAAAAAA"
    + OBJECTS
    + b"K\x01\x85"
    + text("C")
    + b"tR.",
    "a dtype by a class": DTYPE + SVC_CLASS + b"\x89\x88\x87R.",
    "a dtype by its fields": DTYPE + text("O,O") + b"\x89\x88\x87R.",
    "a record of objects": DTYPE
    + text("V8")
    + b"\x89\x88\x87R(K\x03"
    + text("|")
    + b"N"
    + text("a")
    + b"\x85}"
    + text("a")
    + OBJECTS
    + b"K\x00\x86sK\x08K\x01K\x10tb.",
    "text by another coding": named("_codecs", "encode") + text("x") + text("zip") + b"\x86R.",
    "a persistent name": text("x") + b"Q.",
    "a buffer from elsewhere": b"\x97.",
    "items for an instance": SCALER + b")\x81K\x01a.",
    "entries for an instance": SCALER + b")\x81K\x01K\x01s.",
    "members for an instance": SCALER + b")\x81(K\x01\x90.",
    "memory anywhere by an attribute": SCALER + b")\x81}" + text("__array_interface__") + b"}sb.",
    "memory anywhere by an entry": BUNCH + b")\x81" + text("__array_interface__") + b"}s.",
    "memory anywhere by an entry of old": named("copyreg", "_reconstructor")
    + BUNCH
    + named("builtins", "dict")
    + b"}"
    + text("__array_interface__")
    + b"}s\x87R.",
    "a loss of text": named("sklearn.linear_model._sgd_fast", "Hinge") + text("x") + b"\x85R.",
    "a distance by another maker": named("sklearn.metrics._dist_metrics", "newObj") + SVC_CLASS + b"\x85R.",
    "a random generator by a class": named("numpy.random._pickle", "__bit_generator_ctor") + SVC_CLASS + b"\x85R.",
}


@pytest.mark.parametrize("name", KNOWN_NAMES_ONLY)
def test_known_names_in_unknown_ways_are_refused(name: str, path: Path, canary: Path) -> None:
    before = dict(vars(SVC))
    path.write_bytes(b"\x80\x04" + KNOWN_NAMES_ONLY[name])
    refusal(path, canary)
    assert vars(SVC) == before


def test_an_objects_flag_that_is_taken_away_changes_nothing(path: Path) -> None:
    path.write_bytes(b"\x80\x04" + OBJECTS + PLAIN + b"b.")
    got: Any = load_model(path).estimator
    assert got == np.dtype(object)
    assert got.hasobject


def forged(model: Any, **changes: Any) -> Any:
    for name, value in changes.items():
        setattr(model, name, value)
    return model


def tree(**columns: int) -> DecisionTreeClassifier:
    model = DecisionTreeClassifier().fit(np.eye(3), [0, 1, 2])
    state = model.tree_.__getstate__()
    for name, value in columns.items():
        if name == "max_depth":
            state[name] = value
        else:
            state["nodes"][name][0] = value
    model.tree_.__setstate__(state)
    return model


def support_vectors(**changes: Any) -> SVC:
    return forged(SVC().fit(np.eye(4), [0, 0, 1, 1]), **changes)


FORGED: dict[str, Callable[[], Any]] = {
    "a tree that leads outside": lambda: tree(left_child=10**6),
    "a tree that leads back": lambda: tree(right_child=0),
    "a tree with a feature outside": lambda: tree(feature=10**6),
    "a tree deeper than it says": lambda: tree(max_depth=0),
    "a tree of other features": lambda: forged(tree(), n_features_in_=1),
    "support vectors too narrow": lambda: support_vectors(n_features_in_=9),
    "support vectors too many": lambda: support_vectors(_n_support=np.array([2, 90], np.int32)),
    "too few coefficients": lambda: support_vectors(_dual_coef_=np.ones((1, 2))),
    "too few intercepts": lambda: support_vectors(_intercept_=np.ones(0)),
    "a set of trees, one of which leads outside": lambda: forged(
        VotingClassifier([("a", tree()), ("b", tree())]).fit(np.eye(3), [0, 1, 2]), estimators_={tree(left_child=10**6)}
    ),
    "a forest's tree of other features": lambda: forged(forest(), n_features_in_=1),
    "boosted trees in more columns than classes": lambda: forged(
        boosted(), estimators_=boosted().estimators_[:, [0] * 9]
    ),
    "boosted trees that are none": lambda: boosted_with(tree_=forged(StandardScaler(), n_features=3)),
    "boosted trees of several values": lambda: boosted_with(tree_=tree().tree_),
    "a first guess of other columns": lambda: forged(
        boosted(), init_=forged(boosted().init_, class_prior_=np.ones(2) / 2)
    ),
}


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(2, random_state=0).fit(np.eye(3), [0, 1, 2])


def boosted() -> GradientBoostingClassifier:
    return GradientBoostingClassifier(n_estimators=2).fit(np.eye(3), [0, 1, 2])


def boosted_with(**changes: Any) -> GradientBoostingClassifier:
    model = boosted()
    forged(model.estimators_[0, 0], **changes)
    return model


@pytest.mark.parametrize("form", ["pickle", "joblib", "skops"])
@pytest.mark.parametrize("name", FORGED)
def test_numbers_that_lead_compiled_code_outside_are_refused(name: str, form: str, path: Path) -> None:
    path.write_bytes(pickle.dumps(FORGED[name]()))
    if form == "joblib":
        joblib.dump(FORGED[name](), path)
    if form == "skops":
        skops.io.dump(FORGED[name](), path)
    with pytest.raises(CardError, match=r"cannot be loaded: (a decision tree|the tables of a)"):
        load_model(path)


@pytest.mark.parametrize(("key", "value"), [("node_count", -1), ("node_count", 1), ("max_depth", 0)])
def test_a_tree_in_skops_that_miscounts_its_nodes_is_refused(key: str, value: int, path: Path) -> None:
    skops.io.dump(tree(), path)
    schema, parts = unpacked(path)
    number = schema["content"]["content"]["tree_"]["content"]["content"][key]
    number |= {"content": str(value), "__id__": 1}  # of its own: equal numbers share one
    archive(path, schema, **parts)
    with pytest.raises(CardError, match=r"a decision tree (whose tables are of different lengths|that is deeper)"):
        load_model(path)


def test_a_tree_in_skops_that_was_never_filled_is_refused(path: Path) -> None:
    skops.io.dump(tree(), path)
    schema, parts = unpacked(path)
    filled = schema["content"]["content"]["tree_"]["content"]
    filled["content"], filled["key_types"]["content"] = {}, []
    archive(path, schema, **parts)
    with pytest.raises(CardError, match="a decision tree whose tables are of different lengths"):
        load_model(path)


@pytest.mark.parametrize("called", [("sklearn.tree._tree", "Tree"), ("numpy", "ndarray")])
def test_a_tree_in_skops_beside_a_class_that_our_checks_do_not_know_is_refused(
    called: tuple[str, str], path: Path
) -> None:
    skops.io.dump(ExtraTreeRegressor().fit(np.eye(3), [0, 1, 2]), path)
    schema, parts = unpacked(path)
    node = schema["content"]["content"]["tree_"]
    node["__module__"], node["__class__"] = called
    archive(path, schema, **parts)
    said = "ExtraTreeRegressor beside a decision tree" if called[1] == "Tree" else "ndarray"
    with pytest.raises(UntrustedModel, match=said):
        load_model(path)


def unpacked(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    with zipfile.ZipFile(path) as pack:
        parts = {name: pack.read(name) for name in pack.namelist()}
    return json.loads(parts.pop("schema.json")), parts


def test_a_skops_file_with_types_of_its_own_is_refused_by_name(path: Path, canary: Path) -> None:
    own = Own()
    own.__dict__["command"] = f"touch '{canary}'"
    skops.io.dump(scaler_with(own), path)
    message = refusal(path, canary)
    assert f"{__name__}.Own" in message
    assert "--trust-pickle" not in message
    skops.io.load(path, trusted=[f"{__name__}.Own"])
    assert canary.exists()


def test_memory_anywhere_by_an_attribute_is_refused_in_skops_too(path: Path, canary: Path) -> None:
    scaler = scaler_with(1.0)
    vars(scaler)["__array_interface__"] = {
        "data": [4096, False],
        "shape": [1],
        "typestr": "<f8",
        "version": 3,
    }
    skops.io.dump(scaler, path)
    assert "the special attribute __array_interface__" in refusal(path, canary)
    with zipfile.ZipFile(path) as pack:
        schema = json.loads(pack.read("schema.json"))
    told = json.dumps({"_sklearn_version": "1", "__array_interface__": {}})
    hidden = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": told}
    archive(path, {**schema, "content": hidden})
    assert "the special attribute __array_interface__ of a StandardScaler" in refusal(path, canary)


def archive(path: Path, schema: object, **parts: bytes) -> None:
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("schema.json", json.dumps(schema))
        for name, content in parts.items():
            pack.writestr(name, content)


@pytest.mark.parametrize(
    "loader",
    ["OperatorFuncNode", "MethodNode", "PartialNode", "ConstructorFromReduceNode", "SparseMatrixNode"],
)
def test_a_loader_of_skops_that_calls_is_refused(loader: str, path: Path, canary: Path) -> None:
    inner = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}
    node = {"__class__": "system", "__module__": "os", "__loader__": loader, "content": inner, "attrs": inner}
    archive(path, {**inner, "content": [node], "protocol": 2, "_skops_version": "0.16"})
    message = refusal(path, canary)
    assert loader in message
    assert "os.system" in message


def test_a_function_named_in_a_skops_file_is_refused(path: Path, canary: Path) -> None:
    node = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    archive(path, {**node, "protocol": 2, "_skops_version": "0.16"})
    assert "os.system" in refusal(path, canary)


def test_a_pickle_that_ends_as_a_zip_is_read_as_a_pickle(path: Path, canary: Path) -> None:
    pack = io.BytesIO()
    skops.io.dump(StandardScaler(), pack)
    path.write_bytes(pickle.dumps(Evil(canary)) + pack.getvalue())
    assert zipfile.is_zipfile(path)
    assert SYSTEM in refusal(path, canary)
    assert_bites(path, canary)


def test_a_zip_that_holds_a_pickle_is_not_opened(path: Path, canary: Path) -> None:
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("archive/data.pkl", pickle.dumps(Evil(canary)))
    for trust in (False, True):
        with pytest.raises(CardError, match=r"zip archive without schema\.json; it holds archive/data\.pkl"):
            load_model(path, trust_pickle=trust)
    assert not canary.exists()


def test_trust_does_not_open_a_skops_file_unchecked(path: Path, canary: Path) -> None:
    node = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    archive(path, {**node, "protocol": 2, "_skops_version": "0.16"})
    with pytest.raises(UntrustedModel):
        load_model(path, trust_pickle=True)


@pytest.mark.parametrize("form", ["pickle", "joblib", "compressed"])
def test_with_trust_the_same_file_does_run(form: str, path: Path, canary: Path) -> None:
    if form == "pickle":
        path.write_bytes(pickle.dumps(scaler_with(Evil(canary))))
    else:
        joblib.dump(scaler_with(Evil(canary)), path, compress=3 if form == "compressed" else 0)
    refusal(path, canary)
    assert isinstance(load_model(path, trust_pickle=True).estimator, StandardScaler)
    assert canary.exists()
