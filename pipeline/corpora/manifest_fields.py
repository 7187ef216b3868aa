"""The typed fields of one manifest row, from text cells as well as from JSON and Parquet values."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
    model_validator,
)

from mimdata.pipeline.records import SINGLE, Split

EMOTION = "emotion_"
SPLIT_NAMES = {"dev": "valid", "val": "valid", "validation": "valid"}


def _blank_to_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _from_json(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        return _blank_to_none(value)
    try:
        return json.loads(value)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _split_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    name = value.strip().lower()
    return SPLIT_NAMES.get(name, name) or None


def _text(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _id(value: Any) -> Any:
    """Ids that look like numbers are numbers in JSON and Parquet."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (value.strip() or None) if isinstance(value, str) else value


Number = Annotated[FiniteFloat | None, BeforeValidator(_blank_to_none)]
Name = Annotated[str | None, BeforeValidator(_id)]


class Word(BaseModel):
    """A word with its times, seconds from the clip's start."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    word: str
    start: FiniteFloat
    end: FiniteFloat

    @model_validator(mode="after")
    def _ordered(self) -> Word:
        if self.end < self.start:
            raise ValueError(f"word {_quoted(self.word)} ends before it starts")
        return self


class Fields(BaseModel):
    """One row; unknown columns are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    source: Annotated[str, BeforeValidator(_stripped), Field(min_length=1)]
    text: Annotated[str, BeforeValidator(lambda value: "" if value is None else _text(value))]
    clip_id: Name = None
    video_id: Name = None
    segment: Annotated[NonNegativeInt | None, BeforeValidator(_blank_to_none)] = None
    start: Number = None
    end: Number = None
    split: Annotated[Split | None, BeforeValidator(_split_name)] = None
    sentiment: Number = None
    sentiment_text: Number = None
    sentiment_audio: Number = None
    sentiment_vision: Number = None
    language: Name = None
    speaker: Name = None
    emotions: Annotated[dict[str, FiniteFloat], BeforeValidator(lambda value: value or {})] = Field(
        default_factory=dict
    )
    words: Annotated[tuple[Word, ...] | None, BeforeValidator(_from_json)] = None

    @property
    def sentiments(self) -> dict[str, float]:
        """Those of single modalities that are there."""
        given = {m: getattr(self, column) for m, column in SINGLE.items()}
        return {m: value for m, value in given.items() if value is not None}


def parse(values: Mapping[str, Any]) -> Fields | str:
    """The fields of a row, or one line that says what is wrong with them, by column."""
    row = {name: value for name, value in values.items() if value is not None or name == "text"}
    try:
        row["emotions"] = _emotions(row)
        return Fields.model_validate(row)
    except ValidationError as error:
        return "; ".join(_sentence(fault) for fault in error.errors(include_url=False)[:3])
    except ValueError as error:
        return f"has an unreadable emotions object: {error}"


def _emotions(row: Mapping[str, Any]) -> dict[str, Any]:
    """The `emotions` object and the `emotion_NAME` columns in one; what is blank is left out."""
    given = _from_json(row.get("emotions")) or {}
    if not isinstance(given, Mapping):
        raise ValueError(f"expected an object, found {_quoted(given)}")
    columns = {name.removeprefix(EMOTION): value for name, value in row.items() if name.startswith(EMOTION)}
    return {name: value for name, value in {**given, **columns}.items() if _blank_to_none(value) is not None}


def _quoted(value: Any) -> str:
    """A value as Python writes it, cut short: it may be as long, or as deep, as it likes."""
    return repr(value) if isinstance(value, str) and len(value) < 80 else reprlib.repr(value)


def _sentence(fault: Any) -> str:
    column = ".".join(map(str, fault["loc"])) or "row"
    if fault["type"] == "missing":
        return f"has no {column}"
    message = fault["msg"].removeprefix("Value error, ")
    return f"has {column} {_quoted(fault['input'])}: {message[:1].lower()}{message[1:]}"
