"""The index of a kind: which key lies in which part. A cache of the parts, rebuilt from them at will."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.parquet import UnreadableError, from_bytes, to_bytes
from mimdata.pipeline.store.parts import DamageError, Location, Receipt, read_part, scan_part, set_aside

log = logging.getLogger("mimdata")

INDEX = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("part", pa.dictionary(pa.int32(), pa.string())),
        pa.field("sha256", pa.dictionary(pa.int32(), pa.string())),
        pa.field("row", pa.int32()),
        pa.field("failed", pa.bool_()),
    ]
)


DIGITS = (
    40  # of the sha256 of an index file, which is its name; those of older stores are shorter, and no digest
)


class Index:
    """Keys of one kind and their locations, as far as their parts exist.

    Loading reads the index files and lists the parts; a part that no index file names (its writer was
    killed before the index was) is read for its keys, one that has gone is forgotten, one that cannot be
    read is set aside in `damaged/`, so that its keys are computed again.
    """

    def __init__(self, store: Folder, kind: str) -> None:
        self.store = store
        self.kind = kind
        self._files: list[str] = []
        self._receipts: dict[str, Receipt] = {}
        self._locations: dict[str, Location] = {}
        self._changed = False
        self._saved = time.monotonic()
        self._load()

    def __len__(self) -> int:
        return len(self._locations)

    @property
    def age(self) -> float:
        """Seconds since the index was last loaded or saved."""
        return time.monotonic() - self._saved

    def find(self, key: str) -> Location | None:
        """Where the outcome of a key lies, None if it was never computed."""
        return self._locations.get(key)

    def add(self, receipt: Receipt) -> None:
        """Take note of a part. Where a key lies in several, a result counts before a failure that it replaced."""
        self._receipts[receipt.part] = receipt
        for row, (key, failed) in enumerate(zip(receipt.keys, receipt.failed, strict=True)):
            before = self._locations.get(key)
            if before is None or before.failed or not failed:
                self._locations[key] = Location(receipt.part, row, failed)
        self._changed = True

    def weed(self) -> set[str]:
        """Read every part, set the damaged ones aside, and forget them; the keys that are lost so."""
        lost: set[str] = set()
        for part in sorted(self._receipts):
            try:
                read_part(self.store, self.kind, part)
            except DamageError as damage:
                set_aside(self.store, damage)
                lost |= set(self._receipts.pop(part).keys)
        if lost:
            sound, self._locations = list(self._receipts.values()), {}
            for receipt in sound:
                self.add(receipt)
            self.save()
        return lost - self._locations.keys()

    def save(self) -> None:
        """Write one index file that replaces those that were read; does nothing when nothing changed."""
        if not self._changed:
            return
        content = to_bytes(_table(self._receipts.values()))
        name = f"{hashlib.sha256(content).hexdigest()[:DIGITS]}.parquet"
        folder = self._folder()
        folder.write(name, content)
        for old in self._files:
            if old != name:
                folder.remove(old)
        self._files = [name]
        self._changed = False
        self._saved = time.monotonic()

    def _folder(self) -> Folder:
        return self.store.sub("index").sub(self.kind)

    def _load(self) -> None:
        present = set(self.store.sub(self.kind).files(".parquet"))
        self._files = self._folder().files(".parquet")
        for name in self._files:
            for receipt in self._read(name):
                if receipt.part in present:
                    self.add(receipt)
        stale = len(self._files) > 1
        unknown = sorted(present - self._receipts.keys())
        self._changed = stale or bool(unknown)
        for part in unknown:
            self._adopt(part)

    def _adopt(self, part: str) -> None:
        try:
            self.add(scan_part(self.store, self.kind, part))
        except DamageError as damage:
            set_aside(self.store, damage)

    def _read(self, name: str) -> list[Receipt]:
        try:
            table = _table_in(self._folder(), name)
        except FileNotFoundError:
            return []  # another run has just replaced it; the parts themselves are listed
        except UnreadableError as error:
            where = self._folder().path(name)
            log.warning("%s cannot be read (%s): the index is rebuilt from the parts", where, error)
            return []
        return _receipts(table, self.kind)


def count_done(store: Folder, kind: str, keys: pa.Array) -> int:
    """How many of the keys have a result that is no failure.

    By whole columns where the index files name every part, which spares an object a key; else by the index itself.
    """
    present = store.sub(kind).files(".parquet")
    folder = store.sub("index").sub(kind)
    try:
        tables = [_table_in(folder, name) for name in folder.files(".parquet")]
    except (FileNotFoundError, UnreadableError):
        tables = []
    if tables:
        table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
        parts = table.column("part").cast(pa.string())
        if not set(present) - set(parts.unique().to_pylist()):
            sound = pc.and_(
                pc.is_in(parts, pa.array(present, pa.string())), pc.invert(table.column("failed"))
            )
            return int(
                pc.sum(pc.is_in(keys, table.column("key").filter(sound).combine_chunks())).as_py() or 0
            )
    index = Index(store, kind)
    found = map(index.find, keys.to_pylist())
    return sum(location is not None and not location.failed for location in found)


def _table_in(folder: Folder, name: str) -> pa.Table:
    """The table of an index file. Raises FileNotFoundError, UnreadableError."""
    content = folder.read(name)
    digits = name.removesuffix(".parquet")
    if len(digits) == DIGITS and not hashlib.sha256(content).hexdigest().startswith(digits):
        raise UnreadableError("its bytes are not those that were written")
    return from_bytes(content, schema=INDEX)


def _table(receipts: Iterable[Receipt]) -> pa.Table:
    rows = [
        {"key": key, "part": receipt.part, "sha256": receipt.sha256, "row": row, "failed": failed}
        for receipt in receipts
        for row, (key, failed) in enumerate(zip(receipt.keys, receipt.failed, strict=True))
    ]
    return pa.Table.from_pylist(rows, INDEX)


def _receipts(table: pa.Table, kind: str) -> list[Receipt]:
    keys, failed = table.column("key").to_pylist(), table.column("failed").to_pylist()
    parts, digests = table.column("part").to_pylist(), table.column("sha256").to_pylist()
    receipts: list[Receipt] = []
    first = 0
    for i in range(1, len(keys) + 1):
        if i == len(keys) or parts[i] != parts[first]:
            receipts.append(
                Receipt(kind, parts[first], digests[first], tuple(keys[first:i]), tuple(failed[first:i]))
            )
            first = i
    return receipts
