"""What many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile("fuzz" if os.environ.get("SUBTERFUGE_FUZZ") else "repeatable")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def seed_study() -> Path:
    """The folder of the original study's clips and models; absent, the test is skipped."""
    place = Path(os.environ.get("SUBTERFUGE_SEED_STUDY", ROOT.parent / "shared" / "seed-study"))
    if not (place / "models").is_dir():
        pytest.skip(f"the study's clips and models are not at {place}; set SUBTERFUGE_SEED_STUDY to their folder")
    return place
