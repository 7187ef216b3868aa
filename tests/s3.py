"""moto's S3 server on this machine, and a bucket of a test's own in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from mimdata.pipeline.store.folder import filesystem_of


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of the server."""
    running = ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The URL of an empty bucket; the environment says how to reach it, also to processes that the test starts."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")
    filesystem_of(f"s3://{name}")[0].mkdir(f"s3://{name}")
    return f"s3://{name}"
