"""Computational sequences as a dataset version: words, labels and each feature file as a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mimdata.pipeline.corpora.csd import sort_files
from mimdata.pipeline.corpora.splits import FILE_NAME
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.extractors.csd import modality_of
from mimdata.pipeline.files import cache_folder
from mimdata.pipeline.store.fingerprint import digest
from mimdata.pipeline.store.folder import own_temporary
from mimdata.pipeline.store.mirror import local_root


def folder_of(places: Sequence[str]) -> tuple[Path, str]:
    """The folder of the sequences, and what to call a corpus of them: one folder, or files of one or several.

    Files, which may be some of a folder's, are linked to in a folder of the cache. Places on object stores are fetched. Raises UsageError for what is no sequence, and for two files of one name.
    """
    paths = [local_root(place).absolute() for place in places]
    if len(paths) == 1 and paths[0].is_dir():
        return paths[0], paths[0].resolve().name
    for path, place in zip(paths, places, strict=True):
        if not path.is_file() or (path.suffix != ".csd" and path.name != FILE_NAME):
            found = (
                "is a folder" if path.is_dir() else "is no .csd file" if path.exists() else "does not exist"
            )
            raise UsageError(
                f"{place} {found}: give one folder of sequences, or .csd files and perhaps {FILE_NAME}"
            )
    names = [path.name for path in paths]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two of the files are called {twice}: rename one, or give it once")
    folder = cache_folder("csd") / digest("\n".join(sorted(map(str, paths))))[:32]
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        _link(path, folder / path.name)
    return folder, paths[0].parent.name


def _link(path: Path, name: Path) -> None:
    """Have `name` lead to `path`, whatever it was before."""
    beside = name.with_name(own_temporary())
    try:
        beside.symlink_to(path)
        beside.replace(name)
    except OSError as error:
        raise UsageError(
            f"cannot link to {path} in {name.parent} ({error.strerror}): put the files into one folder, and give that"
        ) from error


def configuration_of(folder: Path, named: Mapping[str, str], bert: bool) -> dict[str, Any]:
    """What a run must be configured with to read the sequences of a folder.

    `named` gives sequences (by file stem) modalities other than those their names tell of; `bert` adds BERT of the words
    where no sequence is text. Pooling is the SDK's: the mean of the frames that touch a word. Raises UsageError where
    two sequences would be one modality, or there is nothing to pool.
    """
    modalities: dict[str, Path] = {}
    for sequence in sort_files(folder).features:
        name = named.get(sequence.path.stem) or modality_of(f"{sequence.path.stem} {sequence.root_name}")
        if name in modalities:
            raise UsageError(
                f"{modalities[name].name} and {sequence.path.name} would both be the modality {name!r}: name one of them "
                f"with --modality {sequence.path.stem}=NAME"
            )
        modalities[name] = sequence.path
    unknown = set(named) - {path.stem for path in modalities.values()}
    if unknown:
        stems = ", ".join(path.stem for path in modalities.values()) or "none"
        raise UsageError(f"--modality {unknown.pop()}: the sequences of features in {folder} are {stems}")
    steps: dict[str, Any] = {
        name: {"name": "csd", "modality": name, "file": str(path.resolve())}
        for name, path in modalities.items()
    }
    if bert and "text" not in steps:
        steps = {"text": {"name": "bert"}, **steps}
    if not steps:
        raise UsageError(
            f"{folder} has words and labels, and no sequence of features: add one, or leave --no-bert out"
        )
    return {
        "reader": "csd",
        "root": folder.absolute(),
        "extractors": steps,
        "modalities": list(steps),
        "aligner": {"name": "given"},
        "pooling": {"weights": "mean", "statistics": ["mean"]},
    }
