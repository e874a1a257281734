"""What `subterfuge` promises to be called what it is called, and how little it costs to import."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest

import subterfuge

PUBLIC = [
    "Budget",
    "Clip",
    "Confident",
    "Gives",
    "Kind",
    "LeastSNR",
    "Maximise",
    "Outcome",
    "Peak",
    "SubterfugeError",
    "Targeted",
    "Threat",
    "Untargeted",
    "Victim",
    "attack",
    "check_victim",
    "load_victim",
]
HOMES = {"attack": "driver", "load_victim": "victims", "Clip": "audio", "Outcome": "outcome", "Victim": "victim"}
HEAVY = ["joblib", "librosa", "numpy", "rich", "scipy", "sklearn", "skops", "soundfile", "soxr", "torch", "zimtohrli"]


def imported_by(code: str) -> set[str]:
    """Give the heavy libraries, and our own modules, that are imported after running code in a new process."""
    tell = f"\nimport json, sys\nprint(json.dumps([name for name in sys.modules if name.split('.')[0] in {HEAVY!r}"
    tell += " or name.split('.')[0] == 'subterfuge']))"
    ended = subprocess.run([sys.executable, "-c", code + tell], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(ended.stdout.splitlines()[-1]))


def test_the_public_names_are_these() -> None:
    assert subterfuge.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_is_the_one_of_its_home(name: str) -> None:
    value = getattr(subterfuge, name)
    assert value.__name__ == name
    home = import_module(value.__module__)
    assert getattr(home, name) is value
    assert home.__name__.startswith(f"subterfuge.{HOMES.get(name, '')}")


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'atack'"):
        subterfuge.atack  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    assert imported_by("import subterfuge") == {"subterfuge"}


def test_a_name_is_imported_when_it_is_first_asked_for() -> None:
    came = imported_by("from subterfuge import SubterfugeError")
    assert came == {"subterfuge", "subterfuge.errors"}


def test_a_star_import_gives_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from subterfuge import *", names)
    assert set(PUBLIC) <= set(names)


@pytest.mark.parametrize("words", [["--help"], ["attack", "--help"], ["data", "seed-study", "--help"], ["--version"]])
def test_help_imports_no_heavy_library(words: list[str]) -> None:
    run = f"from subterfuge.cli import cli\ncli.main({words!r}, standalone_mode=False)"
    came = imported_by(run)
    assert {name.split(".")[0] for name in came} == {"subterfuge"}
    assert {name for name in came if not name.startswith("subterfuge.cli")} <= {"subterfuge", "subterfuge.errors"}
