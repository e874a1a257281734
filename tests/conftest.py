"""What many tests share.

Property tests draw the same examples in every run; with ``SUBTERFUGE_FUZZ=1`` they draw new ones, and more.
"""

from __future__ import annotations

import os
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # two workers share the cores already
    os.environ.setdefault(name, "1")

import pytest  # noqa: E402  (before any library counts the cores)
from hypothesis import settings  # noqa: E402

settings.register_profile("repeatable", max_examples=40, derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=2000, derandomize=False, deadline=None, print_blob=True)
settings.load_profile("fuzz" if os.environ.get("SUBTERFUGE_FUZZ") else "repeatable")

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """When fuzzing, draw ten times the examples also where a test names its own number, as no profile can."""
    if not os.environ.get("SUBTERFUGE_FUZZ"):
        return
    for test in {getattr(item, "obj", None) for item in items}:
        own = getattr(test, "_hypothesis_internal_use_settings", settings())
        if own.max_examples != settings().max_examples:
            test._hypothesis_internal_use_settings = settings(own, max_examples=10 * own.max_examples)


@pytest.fixture(scope="session")
def seed_study() -> Path:
    """The folder of the original study's clips and models; absent, the test is skipped."""
    place = Path(os.environ.get("SUBTERFUGE_SEED_STUDY", ROOT.parent / "shared" / "seed-study"))
    if not (place / "models").is_dir():
        pytest.skip(f"the study's clips and models are not at {place}; set SUBTERFUGE_SEED_STUDY to their folder")
    return place
