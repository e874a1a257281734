"""Read the opcodes of a pickle, and leave to a policy whatever could run code.

The pure-Python unpickler of the standard library, with every opcode that finds, calls, makes or mutates
something replaced: they ask a `Policy`. Opcodes that Python 3 never writes for a model (persistent ids, the
extension registry, INST, OBJ, NEWOBJ_EX, out-of-band buffers) are reported to it as strange. The opcodes are
described in the standard library's pickletools.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar, Protocol


class Thing(dict[Any, Any]):
    """Something inert in the place of what a pickle names, calls or makes, while it is only read."""

    name: tuple[str, str] | None = None
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__


_PLAIN_KEYS = (str, int, float, bool, bytes, complex, type(None), Thing)


class Policy(Protocol):
    """What may be found, called, made and changed by a pickle."""

    def find(self, module: str, name: str) -> object:
        """Give what stands for the global, exactly so named (a dotted name is a name with a dot)."""
        ...

    def call(self, function: object, args: tuple[object, ...]) -> object:
        """Give the result of REDUCE."""
        ...

    def new(self, cls: object, args: tuple[object, ...]) -> object:
        """Give the instance that NEWOBJ asks for."""
        ...

    def build(self, made: object, state: object, stream: BytesIO) -> object:
        """Give `made` its state and return what stands for it now; may read an array from the stream."""
        ...

    def strange(self, what: str) -> object:
        """Refuse something that no saved model holds, or note it and give something inert in its place."""
        ...


class Machine(pickle._Unpickler):
    """Unpickle one object from a stream under a policy.

    Args:
        stream: the pickle, decompressed; it is left standing after the STOP.
        policy: asked for whatever is more than plain data.
    """

    stack: list[Any]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, stream: BytesIO, policy: Policy) -> None:
        super().__init__(stream)
        self._stream = stream
        self._policy = policy

    def find_class(self, module: str, name: str) -> object:
        """Give what a name stands for, if the policy allows it."""
        return self._policy.find(module, name)

    def persistent_load(self, pid: object) -> object:
        """Give what stands for a persistent id, which the policy calls strange."""
        return self._policy.strange("a persistent id")

    def get_extension(self, code: int) -> None:
        """Put what stands for an extension code on the stack."""
        self.stack.append(self._policy.strange(f"an extension code ({code})"))

    def _load_instance(self) -> None:  # INST
        module, name = self._line(), self._line()
        self.pop_mark()  # type: ignore[attr-defined]
        self._policy.find(module, name)
        self.stack.append(self._policy.strange(f"the opcode INST for {module}.{name}"))

    def _load_object(self) -> None:  # OBJ
        self.pop_mark()  # type: ignore[attr-defined]
        self.stack.append(self._policy.strange("the opcode OBJ"))

    def _load_new_with_keywords(self) -> None:  # NEWOBJ_EX
        del self.stack[-3:]
        self.stack.append(self._policy.strange("the opcode NEWOBJ_EX"))

    def _load_buffer(self) -> None:  # NEXT_BUFFER, READONLY_BUFFER
        self.stack.append(self._policy.strange("an out-of-band buffer"))

    def _load_new(self) -> None:  # NEWOBJ
        args = self.stack.pop()
        self.stack[-1] = self._policy.new(self.stack[-1], _as_tuple(args))

    def _load_reduce(self) -> None:  # REDUCE
        args = self.stack.pop()
        self.stack[-1] = self._policy.call(self.stack[-1], _as_tuple(args))

    def _load_build(self) -> None:  # BUILD
        state = self.stack.pop()
        self.stack[-1] = self._policy.build(self.stack[-1], state, self._stream)

    def _load_bytearray(
        self,
    ) -> None:  # BYTEARRAY8: its length is only claimed, so read first
        size = int.from_bytes(self._exactly(8), "little")
        self.stack.append(bytearray(self._exactly(size)))

    def _load_append(self) -> None:  # APPEND
        self._extend([self.stack.pop()])

    def _load_appends(self) -> None:  # APPENDS
        self._extend(self.pop_mark())  # type: ignore[attr-defined]

    def _load_item(self) -> None:  # SETITEM
        value, key = self.stack.pop(), self.stack.pop()
        self._fill([key, value])

    def _load_items(self) -> None:  # SETITEMS
        self._fill(self.pop_mark())  # type: ignore[attr-defined]

    def _load_dict(self) -> None:  # DICT
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.stack.append({})
        self._fill(items)

    def _load_members(self) -> None:  # ADDITEMS
        members = self.pop_mark()  # type: ignore[attr-defined]
        if type(self.stack[-1]) is set:
            self.stack[-1].update(map(plain_key, members))
        else:
            self._policy.strange(f"members for a {type(self.stack[-1]).__name__}")

    def _load_frozenset(self) -> None:  # FROZENSET
        members = self.pop_mark()  # type: ignore[attr-defined]
        self.stack.append(frozenset(map(plain_key, members)))

    def _extend(self, items: list[object]) -> None:
        if type(self.stack[-1]) is list:
            self.stack[-1].extend(items)
        else:
            self._policy.strange(f"items for a {type(self.stack[-1]).__name__}")

    def _fill(self, items: list[object]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            put = OrderedDict.__setitem__ if isinstance(target, OrderedDict) else dict.__setitem__
            for key, value in zip(items[::2], items[1::2], strict=True):
                if type(target) is not dict and str(key).startswith("__"):
                    self._policy.strange(f"an entry {key!s:.40} for a {type(target).__name__}")
                put(target, plain_key(key), value)
        else:
            self._policy.strange(f"entries for a {type(target).__name__}")

    def _exactly(self, size: int) -> bytes:
        known = len(self._stream.getbuffer())
        chunk: bytes = self.read(size) if size <= known else b""  # type: ignore[attr-defined]
        if len(chunk) != size:
            raise EOFError("the file ends in the middle of a value")
        return chunk

    def _line(self) -> str:
        line: bytes = self.readline()  # type: ignore[attr-defined]
        return line[:-1].decode("utf-8")


def _as_tuple(args: object) -> tuple[object, ...]:
    if type(args) is not tuple:
        raise pickle.UnpicklingError("arguments that are not a tuple")
    return args


def plain_key(key: object) -> object:
    """Pass a key that hashes without running anything, and without a deep recursion."""
    parts = key if type(key) is tuple else (key,)
    if all(type(part) in _PLAIN_KEYS or type(part).__module__ == "numpy" for part in parts):
        return key
    raise pickle.UnpicklingError(f"a key of type {type(key).__name__}")


_OURS: dict[bytes, Callable[[Machine], None]] = {
    pickle.INST: Machine._load_instance,
    pickle.OBJ: Machine._load_object,
    pickle.NEWOBJ: Machine._load_new,
    pickle.NEWOBJ_EX: Machine._load_new_with_keywords,
    pickle.REDUCE: Machine._load_reduce,
    pickle.BUILD: Machine._load_build,
    pickle.NEXT_BUFFER: Machine._load_buffer,
    pickle.READONLY_BUFFER: Machine._load_buffer,
    pickle.BYTEARRAY8: Machine._load_bytearray,
    pickle.APPEND: Machine._load_append,
    pickle.APPENDS: Machine._load_appends,
    pickle.SETITEM: Machine._load_item,
    pickle.SETITEMS: Machine._load_items,
    pickle.DICT: Machine._load_dict,
    pickle.ADDITEMS: Machine._load_members,
    pickle.FROZENSET: Machine._load_frozenset,
}
Machine.dispatch.update({code[0]: method for code, method in _OURS.items()})
