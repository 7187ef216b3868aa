"""Typed, checked settings: what a field of a frozen dataclass accepts, and the error that says so."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mimdata.pipeline.errors import UsageError

RULE = "rule"


@dataclass(frozen=True)
class Rule:
    """`read` turns a raw value into the field's, or raises ValueError; `says` tells what it accepts."""

    says: str
    read: Callable[[Any], Any]


def setting(default: Any, rule: Rule, about: str) -> Any:
    """A dataclass field with a default, a rule and one line on what it means."""
    return dataclasses.field(default=default, metadata={RULE: rule, "about": about})


def one_of(*choices: str) -> Rule:
    """One of some words."""

    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Rule(", ".join(choices[:-1]) + f" or {choices[-1]}", read)


def whole(low: int) -> Rule:
    """A whole number from `low` on."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise ValueError
        return value

    return Rule(f"a whole number ≥ {low}", read)


def number(low: float, high: float = math.inf, *, above: bool = False) -> Rule:
    """A number in [low, high]; `above` excludes `low`."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        if value < low or value > high or (above and value == low):
            raise ValueError
        return float(value)

    span = f"> {low:g}" if above else f"≥ {low:g}"
    return Rule(f"a number {span}" + (f" and ≤ {high:g}" if high < math.inf else ""), read)


def flag() -> Rule:
    """true or false."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Rule("true or false", read)


def text() -> Rule:
    """Any text."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        return value

    return Rule("a text", read)


def names(*choices: str) -> Rule:
    """One or more different words, as a list or joined by commas; of `choices` where there are any."""

    def read(value: Any) -> tuple[str, ...]:
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else list(value)
        if not parts or len(set(parts)) != len(parts) or not all(isinstance(p, str) and p for p in parts):
            raise ValueError
        if choices and not set(parts) <= set(choices):
            raise ValueError
        return tuple(parts)

    among = f" out of {', '.join(choices)}" if choices else ""
    return Rule(f"different names{among}, as a list or joined by commas", read)


def read_settings(kind: type, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Raw values as the fields of `kind` want them.

    Raises UsageError that names the key with `where` before it, what it accepts and what was found.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    read: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            raise UsageError(f"{where}{key} is no setting of training: there are {', '.join(fields)}")
        rule: Rule = fields[key].metadata[RULE]
        try:
            read[key] = rule.read(value)
        except (ValueError, TypeError) as error:
            raise UsageError(f"{where}{key} accepts {rule.says}, found {value!r}") from error
    return read
