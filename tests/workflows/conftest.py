"""The little corpus, new for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.little import Little, little


@pytest.fixture
def corpus(tmp_path: Path) -> Little:
    return little(tmp_path)
