"""A loopback endpoint with a known capacity: `python -m sedi_engine.bench.limited_server SLOTS LATENCY_S`.

It answers SLOTS calls at once, each after LATENCY_S, and any beyond them with 429: so its own throughput is
SLOTS / LATENCY_S calls a second. It prints its port, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading

REPLY = {
    "id": "bench",
    "object": "chat.completion",
    "created": 0,
    "model": "bench",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Say it. " * 40}}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 120},
}


def _http(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


GOOD, BUSY = _http("200 OK", REPLY), _http("429 Too Many Requests", {"error": {"message": "busy"}})


class LimitedServer:
    """Counts what is being answered."""

    def __init__(self, slots: int, latency_s: float) -> None:
        self._slots, self._latency_s, self._busy = slots, latency_s, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                writer.write(await self._answer())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self) -> bytes:
        if self._busy >= self._slots:
            return BUSY
        self._busy += 1
        try:
            await asyncio.sleep(self._latency_s)
            return GOOD
        finally:
            self._busy -= 1


async def main(slots: int, latency_s: float) -> None:
    """Serve on a free port until the standard input ends."""
    server = await asyncio.start_server(LimitedServer(slots, latency_s).serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    threading.Thread(
        target=lambda: (sys.stdin.buffer.read(), loop.call_soon_threadsafe(ended.set)), daemon=True
    ).start()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
