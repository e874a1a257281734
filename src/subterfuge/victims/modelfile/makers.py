"""Make what a pickle asks for by a call: plain containers, numpy's objects, scikit-learn's Cython objects.

`MAKERS` says which calls there are, and `setter` what may be given a state after its making. Every argument
is checked: the Cython classes follow the numbers in their files without a look (a tree's child, a neighbour's
row), so a forged file could read or write outside of its arrays.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.random import MT19937, PCG64, Generator, RandomState, SeedSequence

from subterfuge.victims._native import fault_of_tree
from subterfuge.victims.modelfile import numpy as numpy_made
from subterfuge.victims.modelfile.machine import plain_key
from subterfuge.victims.modelfile.names import DISTANCES, LOSSES, NEIGHBOUR_TREES, Name
from subterfuge.victims.modelfile.numpy import Damaged, Refused


@dataclass(frozen=True)
class Maker:
    """A call that a pickle may ask for; not callable itself, so it does no harm in an attribute."""

    name: Name
    make: Callable[..., Any]


def fetch(name: Name) -> Any:
    """Import what an entry of our own tables names; Damaged if the installed libraries do not have it."""
    try:
        return getattr(import_module(name[0]), name[1])
    except (ImportError, AttributeError):
        raise Damaged(f"{'.'.join(name)} is not in the installed {name[0].split('.')[0]}") from None


def _plain(kind: type, *allowed: type) -> Callable[..., Any]:
    def make(*args: object) -> Any:
        if not all(type(arg) in allowed for arg in args):
            raise Refused(f"a {kind.__name__} of something that is not plain data")
        return kind(*args)

    return make


def _ordered(*args: object) -> OrderedDict[Any, Any]:
    if args:
        raise Refused("an ordered dictionary of something that is not plain data")
    return OrderedDict()


def _encode(text: object, coding: object) -> bytes:
    if type(text) is not str or coding not in ("latin1", "latin-1"):
        raise Refused(f"a call of _codecs.encode with the coding {coding!r:.40}")
    return text.encode("latin-1")


def _members(kind: type) -> Callable[..., Any]:
    def make(items: object = ()) -> Any:
        if not isinstance(items, list | tuple):
            raise Refused(f"a {kind.__name__} of something that is not plain data")
        return kind(map(plain_key, items))

    return make


def _loss(name: Name) -> Callable[..., Any]:
    def make(*numbers: object) -> Any:
        if not all(type(number) in (int, float) or isinstance(number, np.number) for number in numbers):
            raise Refused(f"a loss {name[1]} of something that is no number")
        return fetch(name)(*numbers)

    return make


def _loss_of_cython(cls: object, _checksum: object, state: Any = None) -> Any:
    if not isinstance(cls, Maker) or cls.name not in LOSSES or type(state) not in (tuple, type(None)):
        raise Refused("a loss of an unknown class")
    return cls.make(*(state or ()))


def _new(names: frozenset[Name]) -> Callable[..., Any]:
    def make(cls: object) -> Any:
        if not any(cls is fetch(name) for name in names):
            raise Refused(f"a new object of {cls!r:.60}")
        return cls.__new__(cls)  # type: ignore[arg-type]

    return make


def _tree(features: object, classes: object, outputs: object) -> Any:
    sizes = np.asarray(classes)
    if type(features) is not int or type(outputs) is not int or not 0 < features < 2**31:
        raise Damaged("a decision tree without its counts")
    if sizes.dtype.kind not in "iu" or sizes.shape != (outputs,) or sizes.min() < 1 or outputs < 1:
        raise Damaged("a decision tree whose counts do not agree")
    return fetch(("sklearn.tree._tree", "Tree"))(features, sizes.astype(np.intp), outputs)


def _state_tree(tree: Any, state: Any) -> None:
    nodes, values, deepest = state["nodes"], state["values"], state["max_depth"]
    count = len(nodes)
    if count < 1 or state["node_count"] != count or len(values) != count:
        raise Damaged("a decision tree whose tables are of different lengths")
    if fault := fault_of_tree(nodes, tree.n_features, deepest):
        raise Damaged(fault)
    tree.__setstate__({"max_depth": int(deepest), "node_count": count, "nodes": nodes, "values": values})


def _state_distance(distance: Any, state: Any) -> None:
    p, vector, matrix = state
    distance.__setstate__((float(p), np.array(vector, np.float64), np.array(matrix, np.float64)))


def _state_neighbours(tree: Any, state: Any) -> None:
    data, rows, nodes, bounds, leaf_size = state[:5]
    count, made = len(nodes), len(data)
    starts, ends, leaf = nodes["idx_start"], nodes["idx_end"], nodes["is_leaf"] != 0
    sides = 2 if type(tree).__name__ == "KDTree" else 1
    fits = rows.shape == (made,) and bounds.shape == (sides, count, data.shape[1]) and state[6] == count
    if not fits or not np.all((rows >= 0) & (rows < made)):
        raise Damaged("a neighbour tree whose tables do not agree")
    if not np.all((starts >= 0) & (starts <= ends) & (ends <= made)) or np.any(~leaf[(count - 1) // 2 :]):
        raise Damaged("a neighbour tree with a branch that leads nowhere")
    if type(leaf_size) is not int or leaf_size < 1 or not any(type(state[11]) is fetch(d) for d in DISTANCES):
        raise Damaged("a neighbour tree without its leaf size or distance")
    if state[12] is not None and np.shape(state[12]) != (made,):
        raise Damaged("a neighbour tree whose weights do not agree")
    tree.__setstate__(state)


DTYPE = Maker(("numpy", "dtype"), numpy_made.dtype)

_MADE: dict[Name, Callable[..., Any]] = {
    ("numpy", "dtype"): numpy_made.dtype,
    ("numpy._core.multiarray", "_reconstruct"): numpy_made.empty_array,
    ("numpy._core.multiarray", "scalar"): numpy_made.scalar,
    ("numpy._core.numeric", "_frombuffer"): numpy_made.array_from_buffer,
    ("numpy.ma.core", "_mareconstruct"): numpy_made.masked_array,
    ("numpy.random._pickle", "__bit_generator_ctor"): numpy_made.bit_generator,
    ("numpy.random._pickle", "__generator_ctor"): numpy_made.generator,
    ("numpy.random._pickle", "__randomstate_ctor"): numpy_made.random_state,
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"): numpy_made.seed_sequence,
    ("collections", "OrderedDict"): _ordered,
    ("builtins", "bytes"): _plain(bytes, bytes),
    ("builtins", "bytearray"): _plain(bytearray, bytes),
    ("builtins", "complex"): _plain(complex, float, int),
    ("builtins", "slice"): _plain(slice, int, type(None)),
    ("builtins", "set"): _members(set),
    ("builtins", "frozenset"): _members(frozenset),
    ("_codecs", "encode"): _encode,
    ("sklearn.tree._tree", "Tree"): _tree,
    ("sklearn.metrics._dist_metrics", "newObj"): _new(DISTANCES),
    ("sklearn.neighbors._kd_tree", "newObj"): _new(NEIGHBOUR_TREES),
    ("sklearn.neighbors._ball_tree", "newObj"): _new(NEIGHBOUR_TREES),
    **{name: _loss(name) for name in LOSSES},
    **{(name[0], f"__pyx_unpickle_{name[1]}"): _loss_of_cython for name in LOSSES},
}
MAKERS = {name: Maker(name, make) for name, make in _MADE.items()} | {DTYPE.name: DTYPE}

_STATES: dict[type, Callable[[Any, Any], None]] = {
    np.ndarray: numpy_made.state_array,
    np.ma.MaskedArray: numpy_made.state_masked_array,
    MT19937: numpy_made.state_bit_generator,
    PCG64: numpy_made.state_bit_generator,
    RandomState: numpy_made.state_random_state,
    Generator: numpy_made.state_generator,
    SeedSequence: lambda made, state: None,
}
_STATES_BY_NAME: dict[Name, Callable[[Any, Any], None]] = {
    ("sklearn.tree._tree", "Tree"): _state_tree,
    **dict.fromkeys(DISTANCES, _state_distance),
    **dict.fromkeys(NEIGHBOUR_TREES, _state_neighbours),
    **dict.fromkeys(LOSSES, lambda made, state: None),
}


def setter(made: object) -> Callable[[Any, Any], None] | None:
    """Give what sets the state of such an object, or None if it takes none of these ways."""
    if isinstance(made, np.dtype):
        return numpy_made.state_dtype
    kind = type(made)
    return _STATES.get(kind) or _STATES_BY_NAME.get((kind.__module__, kind.__name__))
