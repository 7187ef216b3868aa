"""docs/model.md: the tests that it names exist, and it lists every setting with its default."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from mimdata.mim.config import TrainConfig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "mim").glob("test_*.py"))
    assert named
    assert named <= set(re.findall(r"def (test_\w+)", sources))


def test_every_setting_is_listed_with_its_default_and_what_it_accepts() -> None:
    for field in dataclasses.fields(TrainConfig):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        row = f"| `{field.name}` | `{json.dumps(default)}` | {field.metadata['rule'].says} | {field.metadata['about']} |"
        assert row in PAGE, f"docs/model.md lacks the row: {row}"
