"""A folder of computational sequences as a dataset version: words, labels and each feature file as a modality."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mimdata.pipeline.corpora.csd import sort_files
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.extractors.csd import modality_of


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
        name: {"name": "csd", "modality": name, "file": str(path.absolute())}
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
