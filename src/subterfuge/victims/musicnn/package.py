"""Where the files of the package musicnn lie, and which tags it knows; none of its code is run."""

from __future__ import annotations

import ast
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from subterfuge.errors import MissingExtra
from subterfuge.victims.card import Card, check_labels
from subterfuge.victims.musicnn.networks import TAGS

WHEEL = "musicnn==0.1.0"
"""What pip calls the version that was tried."""


def file_of(card: Card, inside: str) -> Path:
    """Give the path of one of the package's files: in the folder that the card names, or else where it is installed.

    Raises:
        CardError: the folder has no such file.
        MissingExtra: the package is not installed, or has no such file.
    """
    if card.get("folder"):
        path = card.folder / str(card.get("folder")) / inside
        if not path.is_file():
            raise card.fail(
                f'folder = "{card.get("folder")}", but there is no file {path}; the folder musicnn of the unpacked '
                f"wheel {WHEEL} was expected"
            )
        return path
    way = f"Install it: pip install --no-deps {WHEEL}"
    try:  # not by find_spec, which a script of that name in the current folder would answer
        path = Path(str(distribution("musicnn").locate_file(f"musicnn/{inside}")))
    except PackageNotFoundError:
        raise MissingExtra(f"the taggers are in the package musicnn, which is not installed. {way}") from None
    if not path.is_file():
        raise MissingExtra(f"the installed musicnn has no file {path}. {way}")
    return path


def tags_of(card: Card, model: str, configuration: Path) -> tuple[str, ...]:
    """Give the tags as the package's list of constants has them, which the card's labels must equal, where it has any.

    Raises:
        CardError: they do not, or there is no such list.
    """
    name = f"{model[:3]}_LABELS"
    try:
        lines = ast.parse(configuration.read_bytes()).body
        values = [
            ast.literal_eval(line.value)
            for line in lines
            if isinstance(line, ast.Assign) and [getattr(to, "id", "") for to in line.targets] == [name]
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        values = []
    tags = values[-1] if values else None
    if not isinstance(tags, list) or len(tags) != TAGS or check_labels(tags):
        raise card.fail(
            f"{configuration} has no list {name} of {TAGS} texts. Install it anew: "
            f"pip install --force-reinstall --no-deps {WHEEL}"
        )
    if card.labels is not None and card.labels != tuple(tags):
        wrong = next((label for label in card.labels if label not in tags), None)
        what = (
            f"labels has '{wrong}', which {model} does not know" if wrong else f"labels are not all, in {model}'s order"
        )
        raise card.fail(f"{what}; leave the key labels out, or write {tags}")
    return tuple(tags)
