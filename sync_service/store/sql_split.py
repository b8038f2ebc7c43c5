"""Splits a migration into its statements, so that each can be recorded and blamed by its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<line_comment>--[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>'(?:[^']|'')*')
    | (?P<identifier>"(?:[^"]|"")*")
    | (?P<dollar>(?<![\w$])\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$)
    | (?P<atomic>\bbegin\s+atomic\b)
    | (?P<case>\bcase\b)
    | (?P<end>\bend\b)
    | (?P<semicolon>;)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Piece:
    """One statement without its semicolon, and where it stands in its file."""

    text: str
    line: int
    """Where the text starts, its comments included."""
    body_line: int
    """Where the first word is."""


def split(sql: str) -> list[Piece]:
    """Return the statements of *sql*; comments stay with the statement that follows them."""
    found: list[Piece] = []
    for offset, piece in _pieces(sql):
        body = _start_of_body(piece)
        if body is not None:
            lead = len(piece) - len(piece.lstrip())
            line, body_line = (sql.count("\n", 0, offset + at) + 1 for at in (lead, body))
            found.append(Piece(piece.strip(), line, body_line))
    return found


def _pieces(sql: str) -> Iterator[tuple[int, str]]:
    start = position = depth = 0
    while token := _TOKEN.search(sql, position):
        position = token.end()
        match token.lastgroup:
            case "block_comment":
                position = _end_of_comment(sql, position)
            case "dollar":
                closing = sql.find(token["dollar"], position)
                position = len(sql) if closing < 0 else closing + len(token["dollar"])
            case "atomic":
                depth += 1
            case "case" if depth:
                depth += 1
            case "end" if depth:
                depth -= 1
            case "semicolon" if not depth:
                yield start, sql[start : token.start()]
                start = position
            case _:
                pass
    yield start, sql[start:]


def _end_of_comment(sql: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, position)
        if edge is None:
            return len(sql)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position


def _start_of_body(piece: str) -> int | None:
    """Return where *piece* has more than blanks and comments, or None where it never has."""
    position = 0
    while position < len(piece):
        if piece[position].isspace():
            position += 1
        elif piece.startswith("--", position):
            newline = piece.find("\n", position)
            position = len(piece) if newline < 0 else newline
        elif piece.startswith("/*", position):
            position = _end_of_comment(piece, position + 2)
        else:
            return position
    return None
