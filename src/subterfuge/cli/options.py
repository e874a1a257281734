"""What several commands share: options, the look of a help page, the exit code of a search that lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from subterfuge.errors import MOST_SEED

LOST = 3
Command = TypeVar("Command", bound=Callable[..., Any] | click.Command)
PATH = click.Path(path_type=Path)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on standard output.")
card_option = click.option("--victim", "card", required=True, type=PATH, help="The victim's card, a TOML file.")
trust_option = click.option(
    "--trust-pickle", is_flag=True, help="Load pickle and joblib models as they are, with whatever code they run."
)
group_option = click.option(
    "--group", metavar="REGEX", help="What of a path below DATA names the recording; by its name without it."
)
seconds_option = click.option(
    "--max-seconds", default=600.0, show_default=True, help="Refuse clips longer than this, before reading them."
)
device_option = click.option("--device", default="cpu", show_default=True, help="Where to compute: cpu or cuda.")
threads_option = click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1, 256), help="Threads of one computation."
)


class Group(click.Group):
    """Commands in the order in which they are defined."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in order."""
        return list(self.commands)


def seed_option(says: str = "Of everything random.") -> Callable[[Command], Command]:
    """Give the option --seed, with what it is the seed of."""
    return click.option(
        "--seed", default=0, show_default=True, type=click.IntRange(0, MOST_SEED), metavar="N", help=says
    )


def examples(*lines: str) -> str:
    """Lay out examples for the end of a help page."""
    return "Examples:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)


def set_threads(threads: int) -> None:
    """Let one computation use so many threads."""
    import torch

    torch.set_num_threads(threads)
