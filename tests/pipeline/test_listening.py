"""A local cluster listens on the loopback interface alone: nobody else on the network reaches scheduler or workers."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from mimdata.pipeline.execute import Workers

LISTENING = "0A"


def double(n: int) -> int:
    return 2 * n


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from family(int(child))


def sockets(pid: int) -> Iterator[str]:
    for entry in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            name = str(entry.readlink())
        except OSError:  # closed meanwhile
            continue
        if name.startswith("socket:["):
            yield name[8:-1]


def listening(pids: list[int]) -> list[tuple[str, int]]:
    """Address and port of each socket on which these processes listen, as the kernel has it."""
    inodes = {inode for pid in pids for inode in sockets(pid)}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in inodes:
                address, port = fields[1].split(":")
                words = [struct.pack("=I", int(address[i : i + 8], 16)) for i in range(0, len(address), 8)]
                found.append((str(ip_address(b"".join(words))), int(port, 16)))
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's table of sockets is Linux's")
@pytest.mark.parametrize("count", [0, 2])
def test_scheduler_dashboard_and_workers_listen_on_the_loopback_interface(count: int) -> None:
    before = set(listening([os.getpid()]))
    with Workers(count) as workers:
        assert sorted(result for _, result in workers.run(double, [1, 2, 3])) == [2, 4, 6]
        found = set(listening(list(family(os.getpid())))) - before
        assert len(found) >= 2  # the scheduler, and its dashboard or workers
        for address, _ in found:
            assert ip_address(address).is_loopback, found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's table of sockets is Linux's")
def test_a_socket_for_all_would_be_seen() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert ("0.0.0.0", server.getsockname()[1]) in listening([os.getpid()])
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ("127.0.0.1", server.getsockname()[1]) in listening([os.getpid()])
