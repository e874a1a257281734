"""Load a TorchScript archive after a look at what it holds.

Its pickles are read by torch's own C++ reader, which calls no Python. They are looked at here first: whether names are
TorchScript's, whether each tensor lies inside its storage, and, which that reader leaves out, whether each storage lies
inside its record. Its code is no Python either, but it is code: it runs as it is loaded (``__setstate__``) and as it is
asked, and can compute for ever, with no way for Python to interrupt it, and fill the memory. Operators that reach files
(``aten::save`` writes one, ``aten::from_file`` maps one, and may write through the map), other processes or the network
are refused by name.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn

from subterfuge.victims.torch_module.archive import Archive, NoProgram

REACHING = ("save", "from_file", "load_tensor", "rpc_async", "rpc_sync", "rpc_remote")
"""Operators by which TorchScript reaches files or other machines."""
_NAMESPACES = ("prim", "aten", "quantized")
_WORDS = re.compile(rf"\b({'|'.join(REACHING)}|c10d\w*|symm_mem)\b")
_OPS = re.compile(rf"\bops\b(?!\s*\.\s*({'|'.join(_NAMESPACES)})\s*\.)")
_GETATTR = re.compile(r'\bgetattr\b(?!\(\s*[\w.]+,\s*"[\w.]*"\s*\))')
_OPCODES = frozenset(
    {
        *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "NEWOBJ", "BINPERSID"),
        *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "SETITEM", "SETITEMS", "APPEND", "APPENDS"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "EMPTY_DICT", "BINUNICODE"),
        *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    }
)
_GLOBALS = re.compile(
    r"__torch__(?!\.torch\.classes\b)[\w.]* \w+|collections OrderedDict|torch device|torch\._utils _rebuild_tensor_v2"
    r"|torch\.jit\._pickle \w+|torch (\w+)Storage"
)
_BYTES = {
    **{"Bool": 1, "Byte": 1, "Char": 1, "Short": 2, "Half": 2, "BFloat16": 2, "Int": 4, "Float": 4},
    **{"Long": 8, "Double": 8, "ComplexFloat": 8, "ComplexDouble": 16},
}
"""Width of an element of each kind of storage."""


class ScriptedModule(nn.Module):
    """A TorchScript module, run as it stands: its optimiser's own gradients fail for complex numbers, as in spectra."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, wave: Tensor) -> Any:
        """Give what the module gives, with the gradients of plain torch."""
        with torch.jit.optimized_execution(False), warnings.catch_warnings():  # type: ignore[attr-defined]
            warnings.simplefilter("ignore", UserWarning)  # of operators that are old: the program is as it is
            return self.script(wave)


def load_script(archive: Archive, device: torch.device) -> ScriptedModule:
    """Load a TorchScript program from the parts that were looked at.

    Raises:
        NoProgram: it asks for what is not allowed, or torch cannot load it.
    """
    code = {name: raw for name, raw in archive.parts.items() if name.startswith("code/")}
    for name, raw in code.items():
        _look_at_code(name, raw)
    for place in ("data", "constants"):
        _look_at_pickle(f"{place}.pkl", archive.parts)
    kept = [name for name in archive.parts if re.fullmatch(r"(data|constants)(\.pkl|/\d+)|version|byteorder", name)]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.load` is", category=DeprecationWarning)
            module = torch.jit.load(archive.packed((*kept, *code)), map_location=device)  # type: ignore[no-untyped-call]
    except Exception as reason:
        raise NoProgram(f"cannot be loaded by torch {torch.__version__}: {_short(reason)}") from reason
    return ScriptedModule(module)


def _look_at_code(name: str, raw: bytes) -> None:
    """Refuse a part of the code that names what reaches out, or hides names.

    The words are looked for anywhere in the text, in strings and comments too: there is no reading of the text under
    which one of them is called and not found.
    """
    if not raw.isascii():
        raise NoProgram(f"has code that is no plain text ({name})")
    text = raw.decode("ascii")
    found = _WORDS.search(text)
    if found:
        raise NoProgram(
            f"has code with the word {found[1]} ({name}), an operator that reaches files or other machines; "
            "a name of one's own must be another"
        )
    if "torch.classes" in text:
        raise NoProgram(f"has code that needs objects of machine code, torch.classes ({name}), which are not loaded")
    odd = _OPS.search(text) or _GETATTR.search(text)
    if odd:
        part = " ".join(text[odd.start() : odd.start() + 60].split())
        raise NoProgram(f"has code with {part!r} ({name}); of operators only those of {', '.join(_NAMESPACES)} are run")


class _Inert:
    """What stands for anything that a pickle names: it can be made and given a state, and does nothing."""

    name = ""

    def __new__(cls, *args: Any) -> Any:
        made = super().__new__(cls)
        made.args = args
        return made

    args: tuple[Any, ...]

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Read a pickle of which every name is inert, and measure its tensors."""

    def __init__(self, raw: bytes, records: dict[str, int]) -> None:
        super().__init__(BytesIO(raw))
        self.records = records

    def find_class(self, module: str, name: str) -> Any:
        kind = _Tensor if name == "_rebuild_tensor_v2" else _Inert
        return type(name, (kind,), {"name": name})

    def persistent_load(self, told: Any) -> Any:
        """Give the number of elements of a storage, once its record is seen to hold them."""
        word, kind, key, _, count = told
        width = _BYTES.get(str(kind.name).removesuffix("Storage"))
        if word != "storage" or width is None or type(count) is not int or count < 0:
            raise NoProgram(f"has a storage of a kind that is not read ({kind.name})")
        if count and self.records.get(key, -1) < count * width:
            raise NoProgram(f"is damaged: the storage {key} is smaller than what it should hold")
        return count


class _Tensor(_Inert):
    """A tensor, inside its storage or refused."""

    def __new__(cls, *args: Any) -> Any:
        count, offset, sizes, strides = args[:4]
        check_extent(count, offset, sizes, strides)
        return super().__new__(cls, *args)


def check_extent(count: int, offset: int, sizes: Sequence[int], strides: Sequence[int]) -> None:
    """Refuse a tensor that reaches beyond the elements of its storage.

    Raises:
        NoProgram: it does, or a number is negative or none.
    """
    numbers = (count, offset, *sizes, *strides)
    if len(sizes) != len(strides) or any(type(each) is not int or each < 0 for each in numbers):
        raise NoProgram("is damaged: a tensor's sizes make no sense")
    if 0 in sizes:
        return
    if offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True)) >= count:
        raise NoProgram("is damaged: a tensor reaches beyond its storage")


def _look_at_pickle(name: str, parts: Any) -> None:
    """Refuse a pickle that holds anything but TorchScript's data, or tensors beyond their records."""
    raw = parts[name]
    stem = name.removesuffix(".pkl")
    records = {part[len(stem) + 1 :]: len(content) for part, content in parts.items() if part.startswith(f"{stem}/")}
    try:
        puts = 0
        for opcode, told, _ in pickletools.genops(raw):
            if opcode.name not in _OPCODES:
                raise NoProgram(f"is no TorchScript: its {name} has the instruction {opcode.name}")
            if opcode.name == "GLOBAL" and not _GLOBALS.fullmatch(str(told)):
                raise NoProgram(
                    f"names {str(told).replace(' ', '.')} in its {name}, which is nothing of TorchScript's; nothing of "
                    "it was run"
                )
            puts += opcode.name in ("BINPUT", "LONG_BINPUT")
            if opcode.name == "LONG_BINPUT" and int(told or 0) > puts + 256:
                raise NoProgram(f"is damaged: its {name} skips places of its memory")
        _Reader(raw, records).load()
    except NoProgram:
        raise
    except Exception as reason:
        raise NoProgram(f"is damaged: its {name} cannot be read ({_short(reason)})") from None


def _short(reason: BaseException) -> str:
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return f"{type(reason).__name__}: {(lines or ['?'])[0]:.200}"
