"""Pickles of published features: which form one has, and its utterances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats import mag_bert, mmsa, mult
from mimdata.pipeline.formats.unpickle import load
from mimdata.pipeline.formats.word_values import FOLDS, WordValues
from mimdata.pipeline.records import Split

FORMS = (mag_bert, mmsa, mult)


def read_forms(path: Path, split: str | None = None) -> tuple[str, list[WordValues]]:
    """The form of a file and its utterances; `split` says which fold a file of one fold is.

    Raises MimdataError for a pickle that asks for code, and for any other form.
    """
    folds = _folds(load(path), path, split)
    some = next(iter(folds.values()))
    form = next((form for form in FORMS if form.is_fold(some)), None)
    if form is None:
        raise MimdataError(f"{path} has no form that is known: a fold of it holds {_what(some)}")
    found = [u for name, fold in folds.items() for u in form.read(fold, name)]
    _check(found, path)
    return form.NAME, found


def _folds(document: Any, path: Path, split: str | None) -> dict[Split, Any]:
    """The folds that hold anything, by split."""
    if isinstance(document, list | tuple) and document:
        if split is None:
            raise MimdataError(f"{path} is one fold of {len(document)} rows: say with --split which")
        return {name: document for name in get_args(Split) if name == split}
    if not isinstance(document, Mapping):
        raise MimdataError(f"{path} holds {_what(document)}: expected {{train, valid, test}}")
    found = {s: next((document[n] for n in names if n in document), None) for s, names in FOLDS.items()}
    folds = {name: fold for name, fold in found.items() if fold is not None and len(fold)}
    if not folds:
        raise MimdataError(f"{path} holds {_what(document)}: expected {{train, valid, test}}")
    return folds


def _what(value: Any) -> str:
    """A value in few words."""
    kind = type(value).__name__
    if isinstance(value, Mapping):
        return f"a {kind} of {', '.join(str(key)[:20] for key in list(value)[:8]) or 'nothing'}"
    return f"a {kind} of {len(value)}" if isinstance(value, list | tuple) else f"a {kind}"


def _check(utterances: Iterable[WordValues], path: Path) -> None:
    """Every utterance once, values for each word, dimensions that agree."""
    seen: set[str] = set()
    dims: dict[str, int] = {}
    for u in utterances:
        if u.clip_id in seen:
            raise MimdataError(f"{path} has {u.clip_id} twice")
        seen.add(u.clip_id)
        for modality, values in u.values.items():
            if len(values) != len(u.words):
                raise MimdataError(
                    f"{path}: {u.clip_id} has {len(u.words)} words and {len(values)} rows of {modality}"
                )
            if dims.setdefault(modality, values.shape[1]) != values.shape[1]:
                raise MimdataError(
                    f"{path}: {u.clip_id} has {values.shape[1]} columns of {modality}, others {dims[modality]}"
                )
