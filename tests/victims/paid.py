"""A victim whose questions are paid, behind a real server on loopback."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.victims.http_faults import Server

from subterfuge.victims import load_victim
from subterfuge.victims.http import HttpVictim


def paid_by(server: Server, folder: Path, labels: Sequence[str], most: int | None = None) -> HttpVictim:
    """Load a server as a victim whose questions cost 0.01 each, of which it answers so many."""
    lines = ["schema = 1", 'kind = "http"', "sample_rate = 8000", f"labels = {json.dumps(list(labels))}",
             f'url = "{server.url}"', "retries = 0", "price = 0.01", "probe_seconds = 0.0"]  # fmt: skip
    path = folder / "paid.toml"
    path.write_text("\n".join([*lines, *([f"most_queries = {most}"] if most else [])]) + "\n", encoding="utf-8")
    victim = load_victim(path)
    assert isinstance(victim, HttpVictim)
    return victim
