"""A receiver of push messages."""

from __future__ import annotations

import asyncio


class Hook:
    """A minimal HTTP server that notes requests and answers 200.

    Attributes:
        address: Where it listens.
        requests: The heads of all requests but those for `robots.txt`.
        arrived: When each of them came, on the loop's clock.
    """

    def __init__(self) -> None:
        self.address = ""
        self.requests: list[bytes] = []
        self.arrived: asyncio.Queue[float] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if not head.startswith(b"GET /robots.txt"):
                    self.requests.append(head)
                    self.arrived.put_nowait(asyncio.get_running_loop().time())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
