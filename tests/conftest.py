"""What many tests share.

Property tests draw the same examples in every run. ``SUBTERFUGE_FUZZ=1`` draws new ones, ten times as many;
``SUBTERFUGE_FUZZ=100`` a hundred times as many.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile("fuzz" if os.environ.get("SUBTERFUGE_FUZZ") else "repeatable")

ROOT = Path(__file__).resolve().parent.parent

FUZZ = int(os.environ.get("SUBTERFUGE_FUZZ") or 0)
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("fuzz" if FUZZ else "same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """When fuzzing, multiply the number of examples of each property test, also where it names its own."""
    if not FUZZ:
        return
    more = 10 if FUZZ == 1 else FUZZ
    for test in {getattr(item, "obj", None) for item in items}:
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None:
            test._hypothesis_internal_use_settings = settings(own, max_examples=own.max_examples * more)


@pytest.fixture(scope="session")
def seed_study() -> Path:
    """The folder of the original study's clips and models; absent, the test is skipped."""
    place = Path(os.environ.get("SUBTERFUGE_SEED_STUDY", ROOT.parent / "shared" / "seed-study"))
    if not (place / "models").is_dir():
        pytest.skip(f"the study's clips and models are not at {place}; set SUBTERFUGE_SEED_STUDY to their folder")
    return place
