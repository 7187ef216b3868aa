"""Pickles of published features: which form one has, and its utterances."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats import mag_bert, misa, mmsa, mult
from mimdata.pipeline.formats.unpickle import load
from mimdata.pipeline.formats.word_values import FOLDS, Reading, WordValues
from mimdata.pipeline.records import Split

FORMS = (misa, mag_bert, mmsa, mult)


def read_forms(
    path: Path, split: str | None = None, reading: Reading | None = None
) -> tuple[str, list[WordValues]]:
    """The form of a file and its utterances; `split` says which fold a file of one fold is.

    `path` may also be a folder of a file a fold, such as MISA reads. Raises MimdataError for a pickle that asks for code, and for any other form.
    """
    document = _of_folder(path) if path.is_dir() else load(path)
    folds = _folds(document, path, split)
    some = next(iter(folds.values()))
    form = next((form for form in FORMS if form.is_fold(some)), None)
    if form is None:
        raise MimdataError(f"{path} has no form that is known: a fold of it holds {_what(some)}")
    found = [u for name, fold in folds.items() for u in form.read(fold, name, reading or Reading())]
    _check(found, path)
    return form.NAME, found


def files_of(path: Path) -> list[Path]:
    """The file, or those of a folder by the names of folds, in their order. Raises MimdataError for none."""
    if not path.is_dir():
        return [path]
    files = [path / f"{name}.pkl" for names in FOLDS.values() for name in names]
    found = [file for file in files if file.is_file()]
    if not found:
        raise MimdataError(f"{path} holds none of {', '.join(file.name for file in files)}")
    return found


def read_vocabulary(path: Path) -> dict[int, str]:
    """{number: word} of a file that holds {word: number}, as JSON or as a pickle. Raises MimdataError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else load(path)
    except (OSError, ValueError) as error:
        raise MimdataError(f"cannot read {path}: {error}") from error
    if not isinstance(content, Mapping):
        raise MimdataError(f"{path} holds {_what(content)}: expected {{word: number}}")
    try:
        return {int(number): str(word) for word, number in content.items()}
    except (TypeError, ValueError) as error:
        raise MimdataError(f"{path} maps words to what is no number: expected {{word: number}}") from error


def _of_folder(path: Path) -> dict[str, Any]:
    return {file.stem: load(file) for file in files_of(path)}


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
