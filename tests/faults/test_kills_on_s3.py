"""kill -9 of the command, its store on an object store: moto's S3 server, which stays up."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from pathlib import Path

from mimdata.pipeline.dataset.manifest import FILE
from mimdata.pipeline.store.folder import TEMPORARY, Folder
from tests.faults.conftest import Reference
from tests.faults.place import MIMDATA, end
from tests.s3 import bucket, s3_server

__all__ = ["bucket", "s3_server"]

SEED = 6
KILLS = 4  # of each job


def start(media: Path, store: str, job: str) -> subprocess.Popen[str]:
    aligner = ["--aligner", "given"] if job == "align" else []
    options = ["--corpus", "manifest", "--root", str(media), "--modality", "audio", "--json"]
    command = [*MIMDATA, job, *options, "--store", store, *aligner, "--workers", "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_kills_with_the_store_on_s3_lose_nothing(bucket: str, media: Path, reference: Reference) -> None:
    draw = random.Random(SEED)
    store = Folder(f"{bucket}/store")
    killed = 0
    for job in ("extract", "align"):
        for k in range(KILLS):
            process = start(media, store.url, job)
            try:
                process.wait(timeout=0.4 + 0.3 * k + draw.uniform(0, 0.3))
                end(process)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed += 1
        end(start(media, store.url, job))
        again = end(start(media, store.url, job)).stages()
        assert {line["computed"] for line in again.values() if "computed" in line} == {0}
    assert killed >= 2  # the first of each job comes before a process can have ended
    versions = store.sub("datasets/manifest")
    version = versions.read("latest").decode().strip()
    assert json.loads(versions.read(f"{version}/{FILE}"))["digest"] == reference.digest
    assert [path for path in store.filesystem.find(store.path()) if TEMPORARY in path] == []
