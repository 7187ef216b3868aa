"""A dataset version on disk: its manifest and the shards of a split. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mimdata.mim.remote import fetched
from mimdata.mim.split import Split
from mimdata.pipeline.dataset.manifest import FILE, LAST, LATEST, Manifest, latest_version, read_manifest
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.files import is_remote

VERSIONS = "datasets"  # STORE/datasets/CORPUS/VERSION


@dataclass(frozen=True)
class Dataset:
    """One version of an aligned dataset: its folder and its manifest. `mimdata.open` finds one."""

    folder: Path
    manifest: Manifest

    @property
    def corpus(self) -> str:
        """The corpus that it was made from."""
        return str(self.manifest.content["corpus"])

    @property
    def emotions(self) -> tuple[str, ...]:
        """The names of its emotions."""
        return tuple(self.manifest.content["emotions"])

    @property
    def has_tokens(self) -> bool:
        """Whether its rows hold word pieces."""
        shards = self.manifest.shards
        return bool(shards) and "token_ids" in pq.read_schema(self.folder / shards[0]["file"]).names

    def pooled(self, modality: str, wanted: Sequence[str]) -> tuple[str, ...]:
        """Those of the wanted statistics that a modality has; all it has when that is none of them."""
        there = self.manifest.modalities[modality]["statistics"]
        return tuple(s for s in wanted if s in there) or tuple(there)

    def dims(self, modalities: Sequence[str], pooled: Sequence[str]) -> dict[str, int]:
        """Columns of each modality's values. Raises MimdataError for a modality that the dataset lacks."""
        known = self.manifest.modalities
        for modality in modalities:
            if modality not in known:
                raise MimdataError(
                    f"the dataset {self.manifest.version} of {self.corpus} has no modality {modality!r}: it has "
                    f"{', '.join(known)}; choose with --modalities, or extract and align it"
                )
        return {m: int(known[m]["dim"]) * len(self.pooled(m, pooled)) for m in modalities}

    def statistics(self, column: str) -> Mapping[str, Any]:
        """{mean (d,), std (d,), count} of a column over the valid words of the train split."""
        found: Mapping[str, Any] | None = self.manifest.content["statistics"].get(column)
        if found is None or not found["count"]:
            raise MimdataError(
                f"the manifest in {self.folder} has no train statistics of {column}: there is no valid word "
                "of it in the train split; leave the modality out, or set standardise = false"
            )
        return found

    @property
    def splits(self) -> dict[str, int]:
        """Utterances of each split that has any; "" are those without one."""
        names = dict.fromkeys(shard["split"] for shard in self.manifest.shards)
        return {name: self.rows(name) for name in names}

    def split(self, name: str) -> Split:
        """The utterances of a split. Raises MimdataError when it has none."""
        if name not in self.splits:
            raise MimdataError(
                f"no split {name!r} in {self.folder}: it has {', '.join(map(repr, self.splits))}"
            )
        return Split(self, name)

    def shards(self, split: str) -> list[Path]:
        """The files of a split, in canonical order."""
        return [self.folder / shard["file"] for shard in self.manifest.shards if shard["split"] == split]

    def rows(self, split: str) -> int:
        """Utterances of a split, labelled or not."""
        return sum(shard["rows"] for shard in self.manifest.shards if shard["split"] == split)


def open_dataset(path: Path | str, corpus: str | None = None) -> Dataset:
    """A dataset version by its own folder, or the latest of a corpus (None: the newest of any) in a store.

    From a store at a URL it is fetched. Raises MimdataError when there is none.
    """
    if is_remote(path):
        path, corpus = fetched(str(path), corpus), None
    path = Path(path)
    if corpus is None and not (path / VERSIONS).is_dir():
        return Dataset(path, read_manifest(path))
    folder = latest_version(path, corpus or newest_corpus(path) or "demo")
    return Dataset(folder, read_manifest(folder))


def find_dataset(
    version: str | os.PathLike[str], store: str | os.PathLike[str], corpus: str | None
) -> Dataset:
    """A version by its folder, by its name in a store or how that begins, or the latest. Raises MimdataError."""
    if (Path(version) / FILE).is_file():
        return open_dataset(Path(version))
    if is_remote(store):
        return open_dataset(fetched(str(store), corpus, str(version)))
    if str(version) == "latest":
        return open_dataset(Path(store), corpus or newest_corpus(Path(store)) or "demo")
    places = Path(store, VERSIONS).glob(f"*/*/{FILE}")
    names = [p.parent for p in places if corpus in (None, p.parent.parent.name)]
    found = [p for p in names if p.name == str(version)] or [
        p for p in names if str(version) and p.name.startswith(str(version))
    ]
    if len(found) != 1:
        there = ", ".join(sorted(p.name for p in found or names)) or "no version at all"
        raise MimdataError(
            f"{'several versions are' if found else 'no version is'} named {str(version)!r} in {store}: expected the folder "
            f"of a version, or a name in the store; there is {there}"
        )
    return open_dataset(found[0])


def newest_corpus(store: Path) -> str | None:
    """The corpus whose dataset was published last; None when there is none. No clock has a say in it."""
    with suppress(OSError, UnicodeDecodeError):
        last = (store / VERSIONS / LAST).read_text(encoding="utf-8").strip()
        if last and (store / VERSIONS / last / LATEST).is_file():
            return last
    # A store of before that was noted: by the time of publication.
    published = [
        (latest.stat().st_mtime_ns, latest.parent.name) for latest in (store / VERSIONS).glob(f"*/{LATEST}")
    ]
    return max(published)[1] if published else None
