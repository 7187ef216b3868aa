"""Digests of source files: a run that is asked to end reads no more of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mimdata.pipeline.stopping import StoppedError
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.sources import Sources


def test_a_stop_while_sources_are_hashed_reads_no_more_of_them(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.bin" for i in range(400)]
    for file in files:
        file.write_bytes(b"0" * 2**16)
        os.utime(file, (1_000_000_000, 1_000_000_000))
    sources = Sources(Folder(str(tmp_path / "store")))

    def stopped() -> None:
        raise StoppedError(signal.SIGTERM)

    with pytest.raises(StoppedError):
        sources.digests(files, stopped)
    read = [file for file in files if sources.stamp_of(file)]
    assert 0 < len(read) < len(files)
