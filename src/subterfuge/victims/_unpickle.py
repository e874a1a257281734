"""Build a model from a pickle or joblib stream without running anything that the stream brings along.

Two passes. The `Survey` reads the whole stream and builds nothing, so that a refusal can name all that is not
allowed. The `Builder` then builds, and enforces the same list by itself, whatever the survey said.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from subterfuge.victims.modelfile.arrays import WRAPPER, ArrayPlace, read, skip
from subterfuge.victims.modelfile.machine import Machine, Thing
from subterfuge.victims.modelfile.makers import DTYPE, MAKERS, Maker, fetch, setter
from subterfuge.victims.modelfile.names import CLASSES, VALUES, Name, today
from subterfuge.victims.modelfile.numpy import Refused, state_dtype

_RECONSTRUCTOR: Name = ("copyreg", "_reconstructor")
_DICT: Name = ("builtins", "dict")
ALLOWED = CLASSES | VALUES | MAKERS.keys() | {WRAPPER, _RECONSTRUCTOR, _DICT}


class Survey:
    """Note what a stream asks for, and build nothing but numpy's dtypes, whose sizes say where arrays end.

    Attributes:
        refused: what is not allowed, in the order met, each once.
        names: whether there are globals among it, so named as globals are.
    """

    def __init__(self) -> None:
        self.refused: dict[str, None] = {}
        self.names = False

    def find(self, module: str, name: str) -> object:
        """Note a global that is not allowed, and give something inert."""
        exact = today(module, name)
        if exact not in ALLOWED:
            self.refused[f"{module}.{name}"] = None
            self.names |= all(map(str.isidentifier, f"{module}.{name}".split(".")))
        if exact == WRAPPER:
            return ArrayPlace
        if exact == DTYPE.name:
            return DTYPE
        thing = Thing()
        thing.name = exact
        return thing

    def call(self, function: object, args: tuple[object, ...]) -> object:
        """Call nothing."""
        if function is DTYPE:
            try:
                return DTYPE.make(*args)
            except Refused as reason:
                return self.strange(str(reason))
        if isinstance(function, Thing) and function.name == _RECONSTRUCTOR and args[0] is ArrayPlace:
            return ArrayPlace()
        return Thing()

    def new(self, cls: object, args: tuple[object, ...]) -> object:
        """Make nothing."""
        return ArrayPlace() if cls is ArrayPlace else Thing()

    def build(self, made: Any, state: Any, stream: BytesIO) -> object:
        """Set no state but a dtype's, and step over an array."""
        if isinstance(made, Thing) and made.name is not None:
            return self.strange(f"a state for {'.'.join(made.name)} itself")
        if isinstance(made, ArrayPlace):
            skip(state, stream, self)
            return Thing()
        if setter(made) is state_dtype:
            try:
                state_dtype(made, state)
            except Refused as reason:
                self.strange(str(reason))
        return made

    def strange(self, what: str) -> object:
        """Note what no saved model holds."""
        self.refused[what] = None
        return Thing()


class Builder:
    """Build numpy's data and the instances of known classes, and raise Refused at anything else."""

    def __init__(self) -> None:
        self._classes: set[type] = {ArrayPlace}
        self._fresh: dict[int, object] = {}  # what was just made, and may be given a state, once

    def find(self, module: str, name: str) -> object:
        """Give an allowed class, value or maker."""
        exact = today(module, name)
        if exact == WRAPPER:
            return ArrayPlace
        if exact in MAKERS:
            return MAKERS[exact]
        if exact == _RECONSTRUCTOR:
            return Maker(exact, self._reconstruct)
        if exact == _DICT:
            return dict
        if exact not in ALLOWED:
            raise Refused(f"{module}.{name}")
        found = fetch(exact)
        if exact in CLASSES:
            self._classes.add(found)
        return found

    def call(self, function: object, args: tuple[object, ...]) -> object:
        """Call a maker."""
        if not isinstance(function, Maker):
            raise Refused(f"a call of {_described(function)}")
        return self._remember(function.make(*args))

    def new(self, cls: object, args: tuple[object, ...]) -> object:
        """Make a bare instance of a known class, without its ``__init__``."""
        if args or not isinstance(cls, type) or cls not in self._classes:
            raise Refused(f"a new {_described(cls)}")
        return self._remember(dict.__new__(cls) if issubclass(cls, dict) else object.__new__(cls))

    def build(self, made: Any, state: Any, stream: BytesIO) -> object:
        """Give a fresh object its state."""
        if self._fresh.pop(id(made), None) is None:
            raise Refused(f"a state for {_described(made)}")
        if isinstance(made, ArrayPlace):
            return read(state, stream, self)
        if (give := setter(made)) is not None:
            give(made, state)
        elif type(made) in self._classes:
            _set_attributes(made, state)
        else:
            raise Refused(f"a state for {_described(made)}")
        return made

    def strange(self, what: str) -> object:
        """Refuse it."""
        raise Refused(what)

    def _remember(self, made: object) -> object:
        self._fresh[id(made)] = made
        return made

    def _reconstruct(self, cls: object, base: object, content: object) -> object:
        """Do what ``copyreg._reconstructor`` does, for known classes over object, and for Bunch over dict."""
        made = self.new(cls, ())
        if base is dict and isinstance(made, dict) and type(content) is dict:
            if any(str(key).startswith("__") for key in content):
                raise Refused(f"a special entry for a {_described(cls)}")
            made.update(content)
        elif base is not object or content is not None:
            raise Refused(f"a {_described(cls)} over {_described(base)}")
        return made


def _set_attributes(made: Any, state: Any) -> None:
    """Give an instance its attributes, by scikit-learn's own way where it has one (it warns of versions)."""
    if state is None:
        return
    if type(state) is not dict or not all(type(key) is str for key in state):
        raise Refused(f"a state for a {type(made).__name__} that is no table of attributes")
    if any(key.startswith("__") for key in state):  # numpy would follow an __array_interface__ anywhere
        raise Refused(f"a special attribute for a {type(made).__name__}")
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        made.__dict__.update(state)


def _described(thing: object) -> str:
    if isinstance(thing, Maker):
        return ".".join(thing.name)
    if isinstance(thing, type):
        return f"{thing.__module__}.{thing.__qualname__}"
    return f"a {type(thing).__name__}"


def unpickle(stream: bytes) -> object:
    """Build the object of a pickle or joblib stream, decompressed.

    Raises:
        Refused: it asks for what is not allowed; the exception's arguments name it all, in the order met.
        Exception: of any other kind, if the stream is no pickle or is damaged.
    """
    watch = Survey()
    try:
        Machine(BytesIO(stream), watch).load()
    except Exception:
        if not watch.names:  # a text, for one, may begin like a pickle
            raise
    if watch.refused:
        raise Refused(*watch.refused)
    return Machine(BytesIO(stream), Builder()).load()
