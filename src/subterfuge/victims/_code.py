"""Find a function that a card names: in a .py file beside the card, or in an installed package."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from subterfuge.errors import nearest
from subterfuge.victims._files_key import files_of
from subterfuge.victims.card import Card

_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Found:
    """A function of a card, and the code that it came with."""

    function: Callable[..., Any]
    sources: tuple[tuple[str, bytes], ...]
    """Name and text of its file and of the files beside the card that it imported; of those that the card names as
    `files`, name and hash."""


def find_function(card: Card, key: str) -> Found:
    """Run the code that a card names and give the function in it.

    ``"file.py:name"`` is a file, relative to the card; ``"package.module:name"`` is looked for beside the card first,
    then among what is installed. While the code is being imported (only then) it may import its neighbours. Modules
    beside the card do not stay in `sys.modules` under their own names, so two cards may both have a ``net.py``.

    Raises:
        CardError: the text has another form, there is no such file, module or function, the code died, or the card
            names `files` that are not there.
    """
    text = str(card.values[key])
    place, _, name = text.rpartition(":")
    if not place or not name.isidentifier():
        raise card.fail(f'{key} = "{text}"; "file.py:function" or "package.module:function" was expected')
    path = card.folder / place
    is_file = place.endswith(".py") or "/" in place or "\\" in place
    if is_file and not path.is_file():
        raise card.fail(f'{key} = "{text}", but there is no file {path}; paths on a card are relative to the card')
    loaded = files_of(card)
    try:
        with _beside(card.folder) as neighbours, redirect_stdout(sys.stderr):  # standard output is the caller's
            module = _module_of_file(path) if is_file else importlib.import_module(place)
    except (Exception, SystemExit) as reason:
        if isinstance(reason, ModuleNotFoundError) and not is_file and f"{place}.".startswith(f"{reason.name}."):
            raise card.fail(
                f'{key} = "{text}", but there is no module {reason.name}, neither beside the card nor installed'
            ) from None
        raise card.fail(f'{key} = "{text}", whose code died as it was loaded: {told(reason, card.folder)}') from reason
    function = getattr(module, name, None)
    if not callable(function):
        functions = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        what = "no function" if function is None else f"a {type(function).__name__}, not a function,"
        raise card.fail(f'{key} = "{text}", but {place} has {what} {name}; {nearest(name, functions or ["none"])}')
    files = dict.fromkeys(str(each.__file__) for each in [module, *neighbours] if getattr(each, "__file__", None))
    sources = tuple((Path(file).name, Path(file).read_bytes()) for file in files if Path(file).is_file())
    return Found(function, sources + loaded)


def told(reason: BaseException, near: Path | None = None) -> str:
    """Tell an exception in one line: its type, its message, and where it was raised.

    Args:
        reason: the exception.
        near: a folder; the deepest place in it is told, else the deepest of all.
    """
    text = " ".join(str(reason).split())
    said = f"{type(reason).__name__}: {text:.300}" if text else type(reason).__name__
    if isinstance(reason, SyntaxError):
        return said
    frames = traceback.extract_tb(reason.__traceback__)
    if not frames:
        return said
    inside = [frame for frame in frames if near is not None and Path(frame.filename).is_relative_to(near)]
    frame = (inside or list(frames))[-1]
    return f"{said} ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})"


def _module_of_file(path: Path) -> ModuleType:
    # a name of its own, which stays: dataclasses and type hints look their module up by it
    digest = hashlib.sha256(str(path.resolve()).encode() + path.read_bytes()).hexdigest()[:16]
    name = f"_subterfuge_card_{digest}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _beside(folder: Path) -> Iterator[list[ModuleType]]:
    """Let imports see a folder first; afterwards give, and forget, the modules that came from it."""
    came: list[ModuleType] = []
    with _ONE_AT_A_TIME:
        names = {path.stem for path in folder.glob("*.py")} | {
            path.parent.name for path in folder.glob("*/__init__.py")
        }
        names -= set(sys.stdlib_module_names)
        hidden = {each: module for each, module in sys.modules.items() if each.partition(".")[0] in names}
        for each in hidden:
            del sys.modules[each]
        before, wrote = dict(sys.modules), sys.dont_write_bytecode
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        importlib.invalidate_caches()
        try:
            yield came
        finally:
            sys.dont_write_bytecode = wrote
            if str(folder) in sys.path:
                sys.path.remove(str(folder))
            for each, module in list(sys.modules.items()):
                if each not in before and each.partition(".")[0] in names:
                    came.append(module)
                    del sys.modules[each]
            sys.modules.update(hidden)
