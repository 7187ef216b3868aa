"""Fixtures that all tests share: where the real recordings lie, when they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# As many tests run at once as there are cores: threads of torch that wait for each other would spin on the others' time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the checkout; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real recordings are not at hand: looked for {SHARED_DATA}")
    return SHARED_DATA
