"""docs/checks.md names every limit with its default."""

from __future__ import annotations

import re
from pathlib import Path

from mimdata.pipeline.config import ChecksConfig

PAGE = Path(__file__).parents[3] / "docs" / "checks.md"


def test_every_limit_is_described_with_its_default() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    described = {name: default.strip() for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    limits = ChecksConfig()
    assert set(described) == set(ChecksConfig.model_fields)
    for name, default in described.items():
        value = getattr(limits, name)
        if isinstance(value, dict):
            assert default == ", ".join(f"{key} {number:g}" for key, number in value.items())
        elif isinstance(value, bool):
            assert default == str(value).lower()
        else:
            assert default == f"{value:g}"
