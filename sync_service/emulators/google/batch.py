"""Batch requests: many calls in one multipart envelope."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus

from sync_service.emulators.google.emulator import Emulator
from sync_service.emulators.google.errors import bad_request
from sync_service.emulators.google.query import Query
from sync_service.emulators.google.wire import Reply, Request, json_reply

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')


def handle(emulator: Emulator, request: Request, run: Callable[[Request], Reply]) -> Reply:
    """Answer every part by itself; only the envelope can fail as a whole."""
    match = _BOUNDARY.search(request.headers.get("content-type", ""))
    parts = [] if match is None else _parts(request.body, match[1])
    if not parts or len(parts) > emulator.switches.batch_limit:
        error = bad_request("The batch request could not be processed.")
        return json_reply(error.body(), 400, pretty=True)
    answers: list[tuple[str, Reply]] = []
    for content_id, part in parts:
        inner = _request(part, request)
        reply = json_reply(bad_request().body(), 400) if inner is None else run(inner)
        answers.append((content_id, reply))
    if emulator.switches.shuffle_batch:
        emulator.world.random("batch").shuffle(answers)
    boundary = f"batch_{emulator.world.token('batch', 12)}"
    chunks = [_part(boundary, content_id, reply) for content_id, reply in answers]
    body = b"".join(chunks) + f"--{boundary}--\r\n".encode()
    return Reply(200, body, f"multipart/mixed; boundary={boundary}")


def _parts(body: bytes, boundary: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    text = body.replace(b"\r\n", b"\n")
    for chunk in text.split(b"--" + boundary.encode())[1:]:
        if chunk.startswith(b"--"):
            break
        head, _, content = chunk.lstrip(b"\n").partition(b"\n\n")
        headers = _headers(head.decode().split("\n"))
        found.append((headers.get("content-id", "").strip("<>"), content))
    return found


def _request(part: bytes, outer: Request) -> Request | None:
    head, _, body = part.partition(b"\n\n")
    line, *rest = head.decode().split("\n")
    words = line.split(" ")
    if len(words) < 2:
        return None
    path, _, query = words[1].partition("?")
    path = re.sub(r"^https?://[^/]+", "", path)
    if not path.startswith("/calendar/v3/"):
        return None
    inherited = {k: v for k, v in outer.headers.items() if not k.startswith("content-")}
    inherited.pop("if-match", None)
    return Request(
        words[0].upper(),
        path,
        Query.parse(query),
        {**inherited, **_headers(rest)},
        body.strip(b"\n"),
        outer.base_url,
    )


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _part(boundary: str, content_id: str, reply: Reply) -> bytes:
    head = [
        f"--{boundary}",
        "Content-Type: application/http",
        f"Content-ID: <response-{content_id}>",
        "",
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(reply.body)}",
        "",
        "",
    ]
    return "\r\n".join(head).encode() + reply.body + b"\r\n"
