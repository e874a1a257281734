"""The documents say what the software does: links, commands, options, cards, keys and examples."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import ModuleType

import click
import pytest
import torch

from subterfuge import Clip, Outcome, SubterfugeError, Targeted, Threat, attack
from subterfuge.attacks import ATTACKS, make_attack
from subterfuge.cli import cli
from subterfuge.dsp.recipes import RECIPES
from subterfuge.errors import VictimError
from subterfuge.oracle import Oracle, dice
from subterfuge.victims import LOADERS, TorchVictim
from subterfuge.victims.preprocess import FILTERS
from subterfuge.victims.twins import TRANSFORMS, TWINS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
NAMES = {"LinearDiscriminantAnalysis": "LDA", "QuadraticDiscriminantAnalysis": "QDA"}


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(name), flags=re.MULTILINE | re.DOTALL)


def anchors(name: str) -> set[str]:
    prose = re.sub(r"^```.*?^```$", "", text_of(name), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(group: click.Group, *above: str) -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        path = (*above, name)
        found |= commands(command, *path) if isinstance(command, click.Group) else {" ".join(path): command}
    return found


def section_of_command(name: str) -> str:
    """The lines of the README's list of commands that belong to one of them."""
    listing = next(block for block in blocks("README.md", "") if "subterfuge attack CLIPS" in block)
    parts = re.split(r"^(?=subterfuge )", listing, flags=re.MULTILINE)
    return "".join(part for part in parts if re.match(rf"subterfuge {name}\b", part))


@pytest.mark.parametrize("name", DOCS)
def test_every_link_to_a_file_or_a_heading_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(name))
    ours = [link for link in links if not link.startswith("https://")]
    broken = []
    for link in ours:
        place, _, heading = link.partition("#")
        if place and not (ROOT / place).exists():
            broken.append(link)
        if heading and heading not in anchors(place or name):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("name", DOCS)
def test_no_document_names_a_place_on_someones_machine(name: str) -> None:
    assert re.findall(r"(?:/(?:home|root|tmp|work|mnt|Users|opt)/|[A-Z]:\\)\S*", text_of(name)) == []


@pytest.mark.parametrize("name", list(commands(cli)))
def test_every_command_stands_in_the_readme_with_all_of_its_options(name: str) -> None:
    section = section_of_command(name)
    assert section, f"the README's list of commands lacks {name}"
    options = [option for one in commands(cli)[name].params if isinstance(one, click.Option) for option in one.opts]
    missing = [option for option in options if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", section)]
    assert not missing


def test_the_readme_lists_no_command_and_no_option_that_is_gone() -> None:
    listing = next(block for block in blocks("README.md", "") if "subterfuge attack CLIPS" in block)
    listed = set(re.findall(r"^subterfuge ([a-z-]+(?: [a-z][a-z-]*)*)", listing, flags=re.MULTILINE))
    assert listed == set(commands(cli))
    for name, command in commands(cli).items():
        options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert set(re.findall(r"(?<![\w-])--[a-z-]+", section_of_command(name))) <= options


def test_every_key_of_the_outcome_is_explained_in_the_readme() -> None:
    table = text_of("README.md").partition("## The outcome")[2].partition("\n## ")[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    explained = {key for first in firsts for key in re.findall(r"`(\w+)`", first)}
    assert explained == {one.name for one in fields(Outcome)}


def test_every_attack_recipe_filter_and_twin_is_named_in_the_readme() -> None:
    names = [*ATTACKS, *RECIPES, *FILTERS, *(NAMES.get(name, name) for name in (*TWINS, *TRANSFORMS))]
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}s?\b", text_of("README.md"))] == []


def test_the_exit_codes_in_the_readme_are_those_of_the_errors() -> None:
    said = re.search(r"\*\*Exit codes\.\*\*.*?\n\n", text_of("README.md"), flags=re.DOTALL)
    assert said is not None
    codes = {int(code): what for code, what in re.findall(r"\b(\d+): ([^.]*)\.", said[0])}
    assert "mistake" in codes[SubterfugeError.exit_code]
    assert "victim" in codes[VictimError.exit_code]


@pytest.mark.parametrize("kind", list(LOADERS))
def test_the_card_of_each_kind_in_the_readme_is_the_one_that_card_new_writes(kind: str) -> None:
    texts = [block for block in blocks("README.md", "toml") if tomllib.loads(block)["kind"] == kind]
    assert texts == [LOADERS[kind].example]
    card = tomllib.loads(texts[0])
    assert card.get("features", next(iter(RECIPES))) in RECIPES
    assert card.get("preprocess", next(iter(FILTERS))) in FILTERS


def test_the_library_example_has_fewer_than_ten_lines_of_python() -> None:
    (code,) = blocks("README.md", "python")
    assert code.startswith("from subterfuge import")
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    assert isinstance(ast.parse(code), ast.Module)


def test_the_picture_is_a_png_file_of_less_than_300_kb() -> None:
    picture = (ROOT / "docs" / "picture.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    assert len(picture) < 300_000


def test_the_changelog_has_a_place_for_the_version_that_is_built() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## .*\b{re.escape(version)}\b", text_of("CHANGELOG.md"), flags=re.MULTILINE)


@pytest.fixture
def straight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The attack that CONTRIBUTING shows, imported from a file of its own, as a newcomer would."""
    (code,) = blocks("CONTRIBUTING.md", "python")
    path = tmp_path / "straight.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("straight_of_contributing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


RATE = 8000


@pytest.fixture
def plane() -> tuple[TorchVictim, torch.Tensor]:
    """A linear victim of two classes on a second of sound, and the normal (T,) of its boundary w·x = 0."""
    layer = torch.nn.Linear(RATE, 2, bias=False)
    w = torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.weight.copy_(torch.stack([-w / 2, w / 2]))
    return TorchVictim.of(layer, labels=["no", "yes"], sample_rate=RATE), w


def losing(w: torch.Tensor, rows: int) -> torch.Tensor:
    """White sounds (rows, T) on the side of "no"."""
    sounds = 0.1 * torch.randn(rows, RATE, generator=torch.Generator().manual_seed(1))
    return -sounds * (sounds @ w).sign()[:, None]


def test_the_attack_of_contributing_reaches_a_plane_within_its_step(
    straight: ModuleType, plane: tuple[TorchVictim, torch.Tensor]
) -> None:
    victim, w = plane
    clean = losing(w, 3)
    oracle = Oracle(victim, Threat(Targeted("yes")), clean, torch.tensor([1, 1, 1]))
    straight.Straight(step_db=0.5)(oracle, clean, dice("a test", 3))
    nearest = (clean @ w).abs() / w.norm()
    over_db = 20 * torch.log10(oracle.best.norm(dim=-1) / nearest)
    assert oracle.won.all()
    assert (over_db > -1e-3).all()
    assert (over_db < 0.5 + 1e-3).all()


def test_the_attack_of_contributing_is_an_attack_like_others_once_it_has_its_line(
    straight: ModuleType, plane: tuple[TorchVictim, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, w = plane
    monkeypatch.setitem(ATTACKS, "straight", straight.Straight)
    assert make_attack("straight", {"step_db": "0.25"}) == straight.Straight(step_db=0.25)
    clip = Clip.of(losing(w, 1).numpy(), RATE)
    outcome = attack(clip, victim, Threat(Targeted("yes")), by="straight", out=tmp_path / "out.wav", control=0)
    assert (outcome.won, outcome.predicted, outcome.attack) == (True, "yes", "straight")
