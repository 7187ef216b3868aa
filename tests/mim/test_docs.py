"""The pages of docs on the model and on training: what they name exists, and every setting is listed."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from mimdata.mim.commands.train import train
from mimdata.mim.config import TrainConfig
from mimdata.mim.presets import PRESETS
from mimdata.mim.series import Series

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


def test_the_training_page_names_what_there_is() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    variants = Series(ablate=True).variants(TrainConfig())
    assert all(name in page for name in [*variants, *PRESETS] if not name.startswith("fusion-"))
    options = {option for parameter in train.params for option in parameter.opts}
    named = set(re.findall(r"mimdata(?:\.mim| train)([^\n]*)", page))
    used = {word for line in named for word in line.split() if word.startswith("--")}
    assert {"--resume", "--seeds", "--ablate", "--preset"} <= used <= options
    settings = {field.name for field in dataclasses.fields(TrainConfig)}
    assert {name for name, _ in re.findall(r"`(\w+) = ([^`]+)`", page)} <= settings
