"""docs/extractors.md names every parameter, reason and column that there is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from mimdata.pipeline.extractors.bert import BertExtractor
from mimdata.pipeline.extractors.facenet import GEOMETRY, FacenetExtractor
from mimdata.pipeline.extractors.opensmile import FeatureSet, Level, OpensmileExtractor
from mimdata.pipeline.records import Reason

PAGE = (Path(__file__).parents[3] / "docs" / "extractors.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("step", [BertExtractor, FacenetExtractor, OpensmileExtractor])
def test_every_parameter_has_its_row(step: type) -> None:
    section = PAGE.split(f"## `{step.name}`")[1].split("\n## ")[0]
    for field in fields(step):
        assert f"\n| `{field.name}` |" in section


def test_every_reason_has_its_row() -> None:
    for reason in Reason:
        assert f"\n| `{reason.name}` |" in PAGE


@pytest.mark.filterwarnings("ignore:Feature set .* is deprecated:UserWarning")
@pytest.mark.parametrize("feature_set", get_args(FeatureSet))
def test_columns_of_the_voice_are_counted_right(feature_set: FeatureSet) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{feature_set}`"))
    counts = [len(OpensmileExtractor(feature_set, level).feature_names) for level in get_args(Level)]
    assert [int(cell) for cell in row.strip("| ").split("|")[1:]] == counts


def test_geometry_is_described() -> None:
    points = {name[:-2] for name in GEOMETRY if name[-2:] in ("_x", "_y")} - {"centre"}
    assert len(points) == 5
    for name in {name for name in GEOMETRY if name[:-2] not in points} | points:
        assert f"`{name}`" in PAGE
