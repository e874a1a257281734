"""Find a file in the installed wheel of a speech model, whose code is never imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from subterfuge.errors import MissingExtra


def wheel_file(package: str, wheel: str, inside: str) -> Path:
    """Give the path of a file of an installed package, which need not be importable.

    Args:
        package: as Python would import it.
        wheel: what pip calls it, with the version that was tried: "silero-vad==6.2.3".
        inside: path within the package.

    Raises:
        MissingExtra: the package is not installed, or lacks the file.
    """
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    name = wheel.partition("==")[0]
    way = f"pip install --no-deps {wheel}"
    if not places:
        raise MissingExtra(f"the model is in the wheel of {name}, which is not installed. Install it: {way}")
    path = Path(next(iter(places))) / inside
    if not path.is_file():
        raise MissingExtra(f"the installed {name} has no file {inside}; this version was tried: {way}")
    return path
