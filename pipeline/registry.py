"""What is installed: corpora, extractors and aligners, found by entry point.

A third party adds one by declaring an entry point in the group `mimdata.corpora`, `mimdata.extractors` or
`mimdata.aligners`; docs/extending.md shows it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.steps import Corpus, Extractor, WordAligner

Group = Literal["corpora", "extractors", "aligners"]


@cache  # finding them reads the metadata of every package
def installed(group: Group) -> Mapping[str, EntryPoint]:
    """The entry points of a group by name, in alphabetical order, as they are when first asked for."""
    found = entry_points(group=f"mimdata.{group}")
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


def load(group: Group, name: str) -> Any:
    """The class behind a name. Raises UsageError for a name that nothing installed declares."""
    points = installed(group)
    if name not in points:
        raise UsageError(f"no {group} entry is named {name!r}: installed are {', '.join(points) or 'none'}")
    return points[name].load()


def build(group: Group, name: str, parameters: Mapping[str, Any]) -> Any:
    """A step from its name and parameters, each checked against the type that the step declares.

    Raises UsageError that names the parameter, what was found and what is accepted.
    """
    step, accepted = load(group, name), parameter_names(group, name)
    unknown = [key for key in parameters if key not in accepted]
    if unknown:
        known = ", ".join(accepted) or "none"
        raise UsageError(f"{name} has no parameter {unknown[0]!r}: its parameters are {known}")
    try:
        return TypeAdapter(step).validate_python(dict(parameters))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its parameters"
        raise UsageError(f"{name}: {where}: {first['msg']}, found {reprlib.repr(first['input'])}") from error


def parameter_names(group: Group, name: str) -> list[str]:
    """The names of a step's parameters."""
    return [field.name for field in fields(load(group, name))]


def corpus(name: str) -> Corpus:
    """The corpus of that name."""
    found: Corpus = load("corpora", name)()
    return found


def extractor(name: str, parameters: Mapping[str, Any]) -> Extractor:
    """The extractor of that name with these parameters."""
    built: Extractor = build("extractors", name, parameters)
    return built


def aligner(name: str, parameters: Mapping[str, Any]) -> WordAligner:
    """The word aligner of that name with these parameters."""
    built: WordAligner = build("aligners", name, parameters)
    return built
