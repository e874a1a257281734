"""Write a trained model as a victim: the model without a pickle, its card, and a record of its training.

::

    NAME.skops             the estimator (a network: NAME.safetensors)
    NAME.training.json     what it was trained on, and which recordings it never heard ("held_out")
    NAME.toml              the card: `subterfuge ... --victim NAME.toml`
    NAME.bare.toml         where it hears through transforms: the card of the model alone, which NAME.toml wraps
"""

from __future__ import annotations

import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subterfuge.audio.place import check_target, put
from subterfuge.errors import OutputError

if TYPE_CHECKING:
    from subterfuge.training.cnn import TrainedCNN
    from subterfuge.training.families import Fitted

RECORD_SCHEMA = 1
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The date of every part of a model file: the earliest that a zip archive can tell."""


@dataclass(frozen=True)
class Places:
    """Where the files of one model go."""

    card: Path
    model: Path
    record: Path
    bare: Path | None
    """The inner card of a model that hears through transforms."""

    @classmethod
    def of(cls, out: Path, name: str, *, network: bool = False, through: str = "") -> Places:
        """Name the files of a model in a folder.

        Raises:
            OutputError: the name cannot be that of a file in every folder.
        """
        if not re.fullmatch(r"[\w][\w .+=,()-]*", name) or name != name.strip(" .") or len(name) > 100:
            raise OutputError(
                f"the name {name!r} cannot be that of files; up to 100 letters, digits and .+-_=,() were expected, "
                "such as svc-noise"
            )
        bare = out / f"{name}.bare.toml" if through and (network or through != "denoise") else None
        model = out / f"{name}.{'safetensors' if network else 'skops'}"
        return cls(out / f"{name}.toml", model, out / f"{name}.training.json", bare)

    def check(self, force: bool) -> None:
        """Refuse, before any work, what cannot be written.

        Raises:
            OutputError: one of them holds something (and not `force`), or is no place for a file.
        """
        for path in (self.card, self.model, self.record, *([self.bare] if self.bare else [])):
            check_target(path, None, force)


def save(
    trained: Fitted | TrainedCNN,
    places: Places,
    *,
    sample_rate: int,
    recipe: str = "librosa-mean-25",
    through: str = "",
    about: Sequence[str] = (),
    record: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write the files of a trained model, the card last; give the card's path.

    Args:
        trained: by `families.fit`, or by `cnn.train_cnn`.
        places: by `Places.of`, with the same `through`.
        sample_rate: in Hz, at which it hears.
        recipe: of its features; a network has none.
        through: the transforms that each sound passed in training, and will pass in use.
        about: sentences for the head of the card.
        record: what else the record of the training holds, of plain JSON values.
        force: overwrite what is there.

    Raises:
        OutputError: something is there (and not `force`), or cannot be written.
    """
    places.check(force)
    network = places.model.suffix == ".safetensors"
    raw = _weights(trained) if network else steady_skops(trained.estimator)  # type: ignore[union-attr]
    told = {"schema": RECORD_SCHEMA, "card": places.card.name, "model_file": places.model.name, **(record or {})}
    said = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files = {places.model: raw, places.record: said.encode(errors="backslashreplace")}
    inner = places.bare or places.card
    lines = ["schema = 1", *_reaches(trained, places, recipe, network, inner), f"sample_rate = {sample_rate}"]
    lines.append(f"labels = {_toml(list(trained.labels))}")
    if through and places.bare is None:
        lines.append('preprocess = "noisereduce"')
    files[inner] = _text(about if inner == places.card else [*about, "Without what it hears through."], lines)
    if places.bare is not None:
        lines = ["schema = 1", 'kind = "through"', f"name = {_toml(_name(places.card))}"]
        lines += [f"victim = {_toml(places.bare.name)}", f"through = {_toml(through)}", f"sample_rate = {sample_rate}"]
        files[places.card] = _text(about, lines)
    for path, content in files.items():  # all of it is there before the first is written: no model without its card
        put(content, path, check=lambda _: None)
    return places.card


def steady_skops(estimator: Any) -> bytes:
    """Give the skops file of a fitted estimator; the same estimator gives the same bytes in every run.

    skops names parts by where they lay in memory, and dates them; here they are counted instead.
    """
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as archive:
        schema = json.loads(archive.read("schema.json"))
        places: dict[Any, int] = {}
        files: dict[str, str] = {}
        for node in _nodes(schema):
            if "__id__" in node:
                node["__id__"] = places.setdefault(node["__id__"], len(places) + 1)
            if "file" in node:
                old = node["file"]
                node["file"] = files.setdefault(old, f"{len(files) + 1}{Path(old).suffix}")
        parts = {new: archive.read(old) for old, new in files.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        for name, content in {"schema.json": json.dumps(schema).encode(), **parts}.items():
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            pack.writestr(entry, content)
    return out.getvalue()


def _nodes(schema: Any) -> list[dict[str, Any]]:
    """Give every dictionary in a schema that is a node of skops, in the order in which they stand."""
    found: list[dict[str, Any]] = []
    todo = [schema]
    while todo:
        here = todo.pop()
        if isinstance(here, dict):
            if "__loader__" in here:
                found.append(here)
            todo.extend(reversed(here.values()))
        elif isinstance(here, list):
            todo.extend(reversed(here))
    return found


def _weights(trained: Any) -> bytes:
    from safetensors.torch import save as to_bytes

    return to_bytes({key: value.contiguous() for key, value in trained.module.state_dict().items()})


def _reaches(trained: Any, places: Places, recipe: str, network: bool, inner: Path) -> list[str]:
    """Give the lines of a card that say how the model is reached."""
    name = f"name = {_toml(_name(inner))}"
    if not network:
        return ['kind = "sklearn"', name, f"features = {_toml(recipe)}", f"model = {_toml(places.model.name)}"]
    module, arguments = 'module = "subterfuge.training.melnet:build"', f"arguments = {_toml(trained.arguments)}"
    return ['kind = "torch"', name, module, arguments, f"weights = {_toml(places.model.name)}"]


def _name(card: Path) -> str:
    return card.name.removesuffix(".toml")


def _text(about: Sequence[str], lines: Sequence[str]) -> bytes:
    told = [f"# {_one_line(sentence)}" for sentence in about]
    return ("\n".join([*told, *lines]) + "\n").encode()


def _one_line(text: str) -> str:
    """Leave out what would end a comment, or what TOML does not allow in one."""
    return "".join(" " if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign for sign in text)


def _toml(value: Any) -> str:
    """Write a value as TOML does."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
