"""The configuration of a run: TOML in, the same TOML out.

Values come from the command line, then the TOML file, then the environment (`MIMDATA_STORE`,
`MIMDATA_EXTRACTORS__AUDIO__FEATURE_SET`, …), then the defaults, in that order of authority.
"""

from __future__ import annotations

import os
import re
import reprlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from mimdata.pipeline import registry
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.files import is_remote
from mimdata.pipeline.steps import Extractor, WordAligner

ENVIRONMENT_PREFIX = "MIMDATA_"


class Strict(BaseModel):
    """A table of the file in which an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StepConfig(BaseModel):
    """A step by the name of its entry point; every other key is one of its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """What the step is built with."""
        return dict(self.model_extra or {})


class PoolingConfig(Strict):
    """How frames become words. `mean` weighs every intersecting frame alike, as the CMU SDK does."""

    weights: Literal["overlap", "mean"] = "overlap"
    statistics: tuple[Literal["mean", "std", "max"], ...] = ("mean", "std", "max")
    pauses: Literal["drop", "keep"] = "drop"


class DatasetConfig(Strict):
    """How an aligned dataset is cut. Where a corpus has no splits, videos are dealt out by a hash."""

    shard_rows: int = Field(default=1024, ge=1)
    assign_splits: bool = True
    license: str = ""  # of the corpus, for the dataset card
    citation: str = ""


Limit = Annotated[float, Field(ge=0, le=1)] | Literal["off"]


class ChecksConfig(Strict):
    """What a version must hold before `mimdata rebuild` publishes it. Shares are of 1; 0 to 1, or "off".

    docs/checks.md says what each one counts, and which accident it would have caught.
    """

    kept_clips: Limit = 0.9
    every_split: bool = True
    coverage: dict[str, Limit] = {"text": 0.98, "audio": 0.9, "vision": 0.5}  # of the words of each split
    unplaced_words: Limit = 0.05
    suspect_clips: Limit = 0.05
    silent_clips: Limit = 0.02
    faceless_clips: Limit = 0.3
    constant_features: Limit = 0.1
    unlabelled_clips: Limit = 0.1
    commonest_label: Limit = 0.5
    shared_videos: Limit = 0.0
    shared_speakers: Limit = 0.0
    shared_recordings: Limit = 0.0
    shared_sentences: Limit = 0.05
    repeated_recordings: Limit = 0.0
    removed_clips: Limit = 0.05
    changed_labels: Limit = 0.05
    changed_splits: Limit = 0.0
    feature_drift: Annotated[float, Field(ge=0)] | Literal["off"] = (
        0.5  # standard deviations of a feature over words
    )


class RetentionConfig(Strict):
    """Which versions, candidates and reports stay: the newest `keep`, and what readers left less than `grace_hours` ago."""

    keep: int = Field(default=7, ge=1)
    grace_hours: float = Field(default=48, ge=0)


class ReportConfig(Strict):
    """Where a rebuild reports. The webhook's URL is a secret: it comes from the variable that is named here."""

    folder: Path | None = None  # STORE/reports
    webhook_variable: str = "MIMDATA_WEBHOOK"


def _size(value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*(\.\d+)? ?[KMGT]i?B", value):
        raise PydanticCustomError("size", "should be a size such as 4GiB")
    return value


Size = Annotated[str, AfterValidator(_size)]


def _root(value: object) -> object:
    return value if is_remote(value) or not isinstance(value, str) else Path(value)


Root = Annotated[Path | str, BeforeValidator(_root)]  # a folder or file of this machine, or a URL


class RunConfig(Strict):
    """Everything that one run needs to know."""

    corpus: str | None = None  # the one last worked on in the store, or else the demo
    reader: str | None = None  # what reads it; by default the one of the corpus's own name
    root: Root | None = None
    store: str = ".mimdata"
    workers: int | None = Field(default=None, ge=0)
    worker_memory: Size | None = None  # "4GiB"; by default a share of the machine's
    scheduler: str | None = None
    clip_seconds: float = Field(default=600.0, gt=0)  # that one step may take for one clip
    device: str = "cpu"
    modalities: tuple[str, ...] | None = None
    extractors: dict[str, StepConfig] = {
        "text": StepConfig(name="bert"),
        "audio": StepConfig(name="opensmile"),
        "vision": StepConfig(name="facenet"),
    }
    aligner: StepConfig = StepConfig(name="pocketsphinx")
    pooling: PoolingConfig = PoolingConfig()
    dataset: DatasetConfig = DatasetConfig()
    fixes: Path | None = None  # a file of corrections to the corpus, docs/checks.md
    checks: ChecksConfig = ChecksConfig()
    retention: RetentionConfig = RetentionConfig()
    report: ReportConfig = ReportConfig()
    train: dict[str, Any] | None = None  # read by mimdata.mim.config; a rebuild trains where there is one

    def build_extractors(self) -> dict[str, Extractor]:
        """The extractors of the chosen modalities, by modality."""
        chosen = self.modalities or tuple(self.extractors)
        unknown = [name for name in chosen if name not in self.extractors]
        if unknown:
            raise UsageError(
                f"no extractor gives the modality {unknown[0]!r}: there are {', '.join(self.extractors)}"
            )
        return {name: _extractor(name, self.extractors[name]) for name in chosen}

    def build_aligner(self) -> WordAligner:
        """The word aligner."""
        return registry.aligner(self.aligner.name, self.aligner.parameters)

    def to_toml(self) -> str:
        """The whole configuration as TOML that `load_config` reads back to an equal one."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def _extractor(modality: str, config: StepConfig) -> Extractor:
    parameters = config.parameters
    if "modality" in registry.parameter_names("extractors", config.name):
        parameters = {"modality": modality, **parameters}  # a step that gives whatever its table is called
    built = registry.extractor(config.name, parameters)
    if built.modality != modality:
        raise UsageError(
            f"[extractors.{modality}] names {config.name!r}, which gives the modality {built.modality!r}: "
            f"put it under [extractors.{built.modality}]"
        )
    return built


def load_config(
    file: Path | None = None,
    given: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    last: Mapping[str, Any] | None = None,
) -> RunConfig:
    """The configuration from all its sources.

    `given` are the values of the command line, nested like the file; None stands for "not given". `last`
    holds what a command takes over from the last run of the corpus where nothing else says otherwise.
    Raises UsageError that names where the value came from, the key, what was found and what is accepted.
    """
    defaults = RunConfig().model_dump(mode="python")
    merged: dict[str, Any] = {"extractors": defaults["extractors"], "aligner": defaults["aligner"]}
    variables = _from_environment(os.environ if environment is None else environment)
    for layer in (last or {}, variables, _from_file(file), given or {}):
        merged = _merge(merged, layer)
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        where = f"{file}: " if file else ""
        raise UsageError(where + _mistake(error)) from error


def _mistake(error: ValidationError) -> str:
    """The first mistake: its key, what is accepted there and what was found."""
    faults = error.errors()
    path = _path(faults[0]["loc"])
    if faults[0]["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(path)}: there are {', '.join(_keys(RunConfig, path[:-1]))}"
    same = [fault["msg"] for fault in faults if _path(fault["loc"]) == path]
    accepted = " or ".join(dict.fromkeys(map(_said, same)))
    return f"{'.'.join(path)}: {accepted}, found {reprlib.repr(faults[0]['input'])}"


def _path(loc: tuple[int | str, ...]) -> list[str]:
    """The key; of a value that may be of several kinds pydantic adds the kind that was tried."""
    return [str(part) for part in loc if not str(part).startswith(("constrained-", "literal["))]


def _said(text: str) -> str:
    return text.removeprefix("Input ")[:1].lower() + text.removeprefix("Input ")[1:]


def _keys(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        inner = model.model_fields[name].annotation if name in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return sorted(model.model_fields)


def nested(assignments: tuple[str, ...]) -> dict[str, Any]:
    """`a.b=1` from the command line as {"a": {"b": 1}}; values read as TOML, or else as text."""
    tree: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, such as extractors.vision.fps=10, found {assignment!r}")
        tree = _merge(tree, _branch(key.split("."), _value(text)))
    return tree


def _branch(path: list[str], value: object) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for variable, text in sorted(environment.items()):
        path = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        if variable.startswith(ENVIRONMENT_PREFIX) and path[0] in RunConfig.model_fields:
            tree = _merge(tree, _branch(path, _value(text)))
    return tree


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if value is None:
            continue
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged
