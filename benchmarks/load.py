"""load, which sends requests without pause over a few keep-alive connections, and measures the answers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = ["Load", "load"]


@dataclass(frozen=True)
class Load:
    """The result of a load.

    :ivar requests: number of answered requests.
    :ivar seconds: duration of the load.
    :ivar latencies: latency of each request in seconds, sorted.
    """

    requests: int
    seconds: float
    latencies: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of the requests does not exceed."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def load(url: str, paths: list[str], *, token: str = "", seconds: float, connections: int = 16) -> Load:
    """Request paths in turn, one request at a time on each connection.

    :param seconds: duration of the load.
    :param connections: number of connections.
    :raises RuntimeError: for any status other than 200.
    """
    return asyncio.run(_load(url, paths, token, seconds, connections))


async def _load(url: str, paths: list[str], token: str, seconds: float, connections: int) -> Load:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{authorization}Accept: */*\r\n\r\n".encode()
        for path in paths
    ]
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            while (began := time.perf_counter()) < end:
                writer.write(requests[number % len(requests)])
                number += connections
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(head.decode())
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                latencies.append(time.perf_counter() - began)
        finally:
            writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(connections)))
    return Load(len(latencies), time.perf_counter() - began, tuple(sorted(latencies)))
