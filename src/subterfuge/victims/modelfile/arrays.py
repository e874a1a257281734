"""Read the arrays that joblib writes into a pickle, raw, right behind a `NumpyArrayWrapper`.

An array of objects follows as a pickle of its own; joblib before 1.6 reads that one unguarded, so it is read
here, under the same policy as the rest. The layout is that of joblib's ``NumpyArrayWrapper.write_array``.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from subterfuge.victims.modelfile.machine import Machine, Policy
from subterfuge.victims.modelfile.numpy import Damaged, Refused, elements

WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")


class ArrayPlace:
    """The place of an array in the stream, before its shape and dtype are known."""


def skip(state: dict[str, Any], stream: BytesIO, policy: Policy) -> None:
    """Move the stream behind the array, surveying a nested pickle on the way."""
    if _kind(state).hasobject:
        Machine(stream, policy).load()
    else:
        _raw(state, stream)


def read(state: dict[str, Any], stream: BytesIO, policy: Policy) -> np.ndarray[Any, Any]:
    """Give the array, writable and of the machine's own byte order."""
    kind, shape = _kind(state), state["shape"]
    if state.get("subclass") not in (np.ndarray, np.memmap):
        raise Refused(f"an array of the type {state.get('subclass')!r:.60}")
    if kind.hasobject:
        nested = Machine(stream, policy).load()
        if type(nested) is not np.ndarray or nested.shape != shape:
            raise Damaged("an array of objects that is not of its shape")
        return nested
    raw = bytearray(_raw(state, stream))
    flat = np.frombuffer(raw, kind) if raw else np.empty(elements(shape), kind)
    array = flat.reshape(shape, order="F" if state.get("order") == "F" else "C")
    return array if kind.isnative else array.astype(kind.newbyteorder("="))


def _kind(state: Any) -> np.dtype[Any]:
    if type(state) is not dict or not isinstance(state.get("dtype"), np.dtype):
        raise Damaged("an array without a dtype")
    kind: np.dtype[Any] = state["dtype"]
    return kind


def _raw(state: dict[str, Any], stream: BytesIO) -> bytes:
    if state.get("numpy_array_alignment_bytes") is not None:
        stream.read(int.from_bytes(stream.read(1), "little"))
    size = elements(state.get("shape")) * _kind(state).itemsize
    raw = stream.read(size)
    if len(raw) != size:
        raise Damaged("the file ends in the middle of an array")
    return raw
