"""The few options of curl that the README uses, for machines without it."""

from __future__ import annotations

import sys

import httpx


def main(arguments: list[str]) -> int:
    """Send the request, print the body; 22 for an answer of 400 or above, as `curl -f`."""
    method, body, url, follow = "GET", None, "", False
    headers: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument == "-X":
            method = next(rest)
        elif argument == "-H":
            name, _, value = next(rest).partition(":")
            headers[name] = value.strip()
        elif argument == "-d":
            body = next(rest)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif argument in ("-fsS", "-fsSL"):
            follow = argument.endswith("L")
        else:
            url = argument
    if body is not None and "-X" not in arguments:
        method = "POST"
    answer = httpx.request(
        method,
        url,
        headers=headers,
        content=body,
        follow_redirects=follow,
        trust_env=False,
        timeout=30,
    )
    sys.stdout.write(answer.text)
    return 22 if answer.is_error else 0
