"""The manifest of a dataset version, and where versions lie. Imports nothing that extraction needs.

    STORE/datasets/CORPUS/VERSION/{manifest.json, train-00000.parquet, …}
    STORE/datasets/CORPUS/latest                                            the name of the newest version

A version's digest covers its manifest less `version`, `digest` and `created`, and so, through the shards'
digests, every byte of it.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mimdata.pipeline.errors import MimdataError

FORMAT = 3  # 3: values are plain (plain.py)
FILE = "manifest.json"
LATEST = "latest"
LAST = "last"  # beside the corpora's folders: the corpus whose version was published last
KINDS = {  # what all readers use
    "version": str,
    "digest": str,
    "rows": int,
    "shards": list,
    "modalities": dict,
}
UNCOVERED = ("version", "digest", "created")  # what the digest leaves out


@dataclass(frozen=True)
class Manifest:
    """What a version says of itself; `content` is the JSON document, the properties are its parts.

    content: format, corpus, version, digest, created, rows, splits {split: rows}, shards [{file, split,
    rows, bytes, sha256}], lineage and card {file, bytes, sha256}, modalities {name: {dim, feature_names, statistics, step}}, emotions [name],
    statistics {column: {mean (d,), std (d,), count}} of the train split's valid words, coverage {split:
    {words, modality: valid words}}, labels {split: {column: {count, mean, std, min, max, below, above}}}, schema {column: Arrow type}, aligner, pooling and config as they were,
    inputs (one digest of all that shaped the version), libraries {name: version}.
    """

    content: Mapping[str, Any]

    @property
    def version(self) -> str:
        """The name of the version: its date and the beginning of its digest."""
        return str(self.content["version"])

    @property
    def digest(self) -> str:
        """sha256 of all that the version holds."""
        return str(self.content["digest"])

    @property
    def rows(self) -> int:
        """Utterances in all shards."""
        return int(self.content["rows"])

    @property
    def shards(self) -> list[dict[str, Any]]:
        """The shards in canonical order."""
        return list(self.content["shards"])

    @property
    def files(self) -> list[dict[str, Any]]:
        """Every file beside the manifest, each with `file`, `bytes` and `sha256`."""
        beside = [dict(self.content[name]) for name in ("lineage", "card") if name in self.content]
        return [*self.shards, *beside]

    @property
    def modalities(self) -> dict[str, dict[str, Any]]:
        """Each modality's dim, feature names, pooled statistics and the identity of its step."""
        return dict(self.content["modalities"])

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(self.content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def digest_of(content: Mapping[str, Any]) -> str:
    """The digest of a manifest's content, whatever `version`, `digest` and `created` say."""
    covered = {name: value for name, value in content.items() if name not in UNCOVERED}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_manifest(text: str | bytes, where: str) -> Manifest:
    """A manifest from its text. Raises MimdataError if it is damaged or of another format."""
    try:
        content = json.loads(text)
        found = content["format"]
        if found != FORMAT:
            raise MimdataError(
                f"{where} has format {found}, this mimdata reads format {FORMAT}: "
                f"{'update mimdata' if str(found) > str(FORMAT) else 'run `mimdata align` again'}"
            )
        if digest_of(content) != content["digest"]:
            raise MimdataError(
                f"{where} does not match its own digest: it was changed or damaged; run `mimdata align` again"
            )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MimdataError(f"{where} is not a dataset manifest: {error}") from error
    if odd := _odd(content):
        raise MimdataError(f"{where} is not a dataset manifest: {odd}")
    return Manifest(content)


def _odd(content: Mapping[str, Any]) -> str:
    """Which part is not what `Manifest` says, or nothing. A manifest may come from anyone, its digest with it."""
    for name, kind in KINDS.items():
        if not isinstance(content.get(name), kind):
            return f"its {name} are {reprlib.repr(content.get(name))}"
    beside = [
        content[name] for name in ("lineage", "card") if name in content
    ]  # others' versions may lack them
    for about in (*beside, *content["shards"]):
        file = about.get("file") if isinstance(about, dict) else None
        if not _is_name(file):
            return f"a file of it is called {reprlib.repr(file)}, expected the name of one beside it"
    for shard in content["shards"]:
        if not isinstance(shard.get("rows"), int) or not isinstance(shard.get("split"), str):
            return f"the shard {shard['file']} has no rows and split"
    if odd := [name for name, about in content["modalities"].items() if not _is_modality(about)]:
        return f"its modality {odd[0]!r} has no dim, feature_names and statistics"
    return ""


def _is_name(file: Any) -> bool:
    """Whether a file lies in the folder that names it."""
    return isinstance(file, str) and file not in ("", "..") and Path(file).name == file and "\\" not in file


def _is_modality(about: Any) -> bool:
    kinds = {"dim": int, "feature_names": list, "statistics": list}
    return isinstance(about, dict) and all(isinstance(about.get(name), kind) for name, kind in kinds.items())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a version's folder. Raises MimdataError."""
    path = folder / FILE
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MimdataError(
            f"no dataset version in {folder}: {FILE} is missing; run `mimdata align` first"
        ) from error
    return parse_manifest(text, str(path))


def latest_version(store: Path, corpus: str) -> Path:
    """The folder of a corpus's newest version. Raises MimdataError when there is none."""
    folder = store / "datasets" / corpus
    try:
        name = (folder / LATEST).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MimdataError(
            f"no dataset of {corpus!r} in {store}: run `mimdata extract` and `mimdata align` first"
        ) from error
    if not _is_name(name):
        raise MimdataError(f"{folder / LATEST} does not name a version beside it: {reprlib.repr(name)}")
    return folder / name
