"""Make numpy's objects from a pickle by numpy's public, checking constructors.

numpy's own unpickling trusts its input: a dtype's state may clear the flag that says "these are pointers",
and a scalar of object dtype unpickles its bytes anew. So every argument is checked here, and a dtype's
state is replaced by the one that a public constructor gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import MT19937, PCG64, Generator, RandomState, SeedSequence

_CODE = re.compile(r"[<>|=]?(b1|i[1248]|u[1248]|f[248]|c(8|16)|[SUV]\d{1,9}|O8?)", re.ASCII)
_ALIGNED = 128


class Refused(Exception):
    """Something that no honest model file holds."""


class Damaged(ValueError):
    """A value that does not fit its place."""


def dtype(code: object, *_: object) -> np.dtype[Any]:
    """Make a dtype of numbers, text, bytes, records or objects, as a copy to be given its state."""
    if type(code) is not str or not _CODE.fullmatch(code):
        raise Refused(f"a numpy dtype of code {code!r}")
    return np.dtype(code, False, True)


def state_dtype(made: np.dtype[Any], state: Any) -> None:
    """Give a dtype its byte order, or its fields, none of which may hold objects or leave the record."""
    _version, order, subarray, names, fields, itemsize, _alignment, flags = state[:8]
    if subarray is not None or len(state) > 8 or order not in ("<", ">", "|", "="):
        raise Refused(f"a numpy dtype with the state {state!r:.80}")
    if names is None:
        proper = made.newbyteorder(order) if order != "|" else made
    else:
        columns = [fields[name] for name in names]
        if not all(isinstance(c[0], np.dtype) and c[0].kind in "biufc" and type(c[1]) is int for c in columns):
            raise Refused("a numpy record with a field that is no number")
        formats, offsets = [c[0] for c in columns], [c[1] for c in columns]
        layout: Any = {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": itemsize}
        proper = np.dtype(layout, align=bool(flags & _ALIGNED))
    if proper.itemsize != made.itemsize:
        raise Damaged(f"a numpy dtype of {made.itemsize} bytes with a state of {proper.itemsize}")
    made.__setstate__(proper.__reduce__()[2])  # type: ignore[attr-defined,index,unused-ignore]


def scalar(kind: object, raw: object) -> object:
    """Make a numpy scalar from its bytes; never one of object dtype, whose bytes are a pickle."""
    if not isinstance(kind, np.dtype) or kind.kind not in "biufcSU" or type(raw) is not bytes:
        raise Refused("a numpy scalar that is no number and no text")
    if len(raw) != kind.itemsize:
        raise Damaged(f"{len(raw)} bytes for a numpy scalar of {kind.itemsize}")
    return np.frombuffer(raw, kind)[0] if raw else np.empty(1, kind)[0]


def empty_array(subtype: object, _shape: object, _code: object) -> np.ndarray[Any, Any]:
    """Make the empty array that ``_reconstruct`` makes, to be given its state."""
    if subtype is not np.ndarray:
        raise Refused(f"an array of the type {subtype!r}")
    return np.empty(0, "i1")


def state_array(made: np.ndarray[Any, Any], state: Any) -> None:
    """Give an array its shape, dtype, order and content: bytes, or a list of objects, of the very length."""
    _version, shape, kind, fortran, content = state
    count = elements(shape)
    if not isinstance(kind, np.dtype) or fortran not in (0, 1):
        raise Damaged("an array without a dtype or an order")
    if kind.hasobject:
        if type(content) is not list or len(content) != count:
            raise Refused("an object array whose content is not a list of its objects")
    elif type(content) is not bytes or len(content) != count * kind.itemsize:
        raise Damaged("an array whose bytes do not fit its shape")
    made.__setstate__((1, tuple(shape), kind, bool(fortran), content))  # type: ignore[arg-type]


def array_from_buffer(
    buffer: object, kind: object, shape: Any, order: object, axes: Any = None
) -> np.ndarray[Any, Any]:
    """Make an array from the bytes that protocol 5 keeps in the stream (numpy's ``_frombuffer``)."""
    if not isinstance(kind, np.dtype) or kind.hasobject or not isinstance(buffer, bytes | bytearray):
        raise Refused("an array from something that is not bytes")
    if len(buffer) != elements(shape) * kind.itemsize:
        raise Damaged("an array whose bytes do not fit its shape")
    flat = np.frombuffer(buffer, kind) if len(buffer) else np.empty(elements(shape), kind)
    if order == "K" and axes is not None:
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def masked_array(subtype: object, base: object, _shape: object, _code: object) -> np.ma.MaskedArray[Any, Any]:
    """Make the empty masked array of ``numpy.ma.core._mareconstruct``."""
    if subtype is not np.ma.MaskedArray or base is not np.ndarray:
        raise Refused(f"a masked array of the type {subtype!r}")
    return np.ma.MaskedArray(np.empty(0, "i1"))


def state_masked_array(made: np.ma.MaskedArray[Any, Any], state: Any) -> None:
    """Give a masked array its content; the mask is one byte an element."""
    _version, shape, kind, fortran, content, mask, fill = state
    if not isinstance(kind, np.dtype) or kind.names is not None:
        raise Refused("a masked array of records")
    state_array(np.empty(0, "i1"), (1, shape, kind, fortran, content))
    state_array(np.empty(0, "i1"), (1, shape, np.dtype(bool), fortran, mask))
    made.__setstate__((1, shape, kind, bool(fortran), content, mask, fill))  # type: ignore[arg-type]


def elements(shape: object) -> int:
    """Count the elements of a shape, which must be a tuple of whole numbers from 0."""
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise Damaged(f"an array of the shape {shape!r:.60}")
    return math.prod(shape)


def bit_generator(kind: object = "MT19937") -> MT19937 | PCG64:
    """Make the generator of random bits of numpy's ``__bit_generator_ctor``, to be given its state."""
    if kind is MT19937 or kind == "MT19937":
        return MT19937(0)
    if kind is PCG64 or kind == "PCG64":
        return PCG64(0)
    raise Refused(f"a random generator of the kind {kind!r:.60}")


def state_bit_generator(made: MT19937 | PCG64, state: Any) -> None:
    """Give a bit generator its state; the seed sequence beside it in newer files is left out."""
    made.state = _random_state(state[0] if type(state) is tuple else state)  # type: ignore[assignment]


def random_state(bits: object = "MT19937", *_: object) -> RandomState:
    """Make numpy's legacy random generator, over bits that were made before or of the name given."""
    made = bits if isinstance(bits, MT19937) else bit_generator(bits)
    return RandomState(made)


def state_random_state(made: RandomState, state: Any) -> None:
    """Give the legacy random generator its state."""
    made.set_state(_random_state(state))


def generator(bits: object = "PCG64", *_: object) -> Generator:
    """Make numpy's random generator, over bits that were made before or of the name given."""
    return Generator(bits if isinstance(bits, MT19937 | PCG64) else bit_generator(bits))


def state_generator(made: Generator, state: Any) -> None:
    """Give the random generator the state of its bits, as older files write it."""
    if state is not None:
        state_bit_generator(made.bit_generator, state)  # type: ignore[arg-type]


def seed_sequence(*_: object) -> SeedSequence:
    """Make a seed sequence in place of the file's: it serves only to spawn further generators."""
    return SeedSequence(0)


def _random_state(state: Any) -> dict[str, Any]:
    """Check the state of a random generator: MT19937 reads key[pos] without a look at pos."""
    inner = state["state"]
    if "key" in inner:
        key = np.asarray(inner["key"], np.uint32)
        if key.shape != (624,) or not 0 <= int(inner["pos"]) <= 624:
            raise Damaged("a random generator whose position lies outside of its key")
        gauss = {"has_gauss": int(state.get("has_gauss", 0)), "gauss": float(state.get("gauss", 0.0))}
        return {"bit_generator": "MT19937", "state": {"key": key, "pos": int(inner["pos"])}, **gauss}
    counts: Sequence[str] = ("has_uint32", "uinteger")
    numbers = {name: int(inner[name]) for name in ("state", "inc")}
    return {"bit_generator": "PCG64", "state": numbers, **{name: int(state[name]) for name in counts}}
