"""Partial responses: the `fields` selector."""

from __future__ import annotations

import re
from typing import Any

from sync_service.emulators.google.errors import ApiError, invalid_parameter
from sync_service.emulators.google.state import Json, as_list, as_object

Tree = dict[str, Any]
_TOKEN = re.compile(r"[A-Za-z0-9_\-@.]+|\*|[(),/]")


def select(selector: str, body: Json) -> Json:
    """The parts of *body* that the selector names."""
    tokens = _TOKEN.findall(selector)
    if "".join(tokens) != selector.replace(" ", ""):
        raise _bad(selector)
    tree, rest = _list(tokens, selector)
    if rest:
        raise _bad(selector)
    return _apply(tree, body)


def _list(tokens: list[str], selector: str) -> tuple[Tree, list[str]]:
    tree: Tree = {}
    while True:
        node = tree
        name, tokens = _name(tokens, selector)
        while tokens and tokens[0] == "/":
            node = node.setdefault(name, {})
            name, tokens = _name(tokens[1:], selector)
        inner: Tree = node.setdefault(name, {})
        if tokens and tokens[0] == "(":
            nested, tokens = _list(tokens[1:], selector)
            if not tokens or tokens[0] != ")":
                raise _bad(selector)
            inner.update(nested)
            tokens = tokens[1:]
        if not tokens or tokens[0] != ",":
            return tree, tokens
        tokens = tokens[1:]


def _name(tokens: list[str], selector: str) -> tuple[str, list[str]]:
    if not tokens or tokens[0] in "(),/":
        raise _bad(selector)
    return tokens[0], tokens[1:]


def _apply(tree: Tree, value: Any) -> Any:
    if not tree:
        return value
    if (items := as_list(value)) is not None:
        return [_apply(tree, item) for item in items]
    fields = as_object(value)
    if fields is None:
        return value
    out: Json = {}
    for name, content in fields.items():
        if name in tree:
            out[name] = _apply(tree[name], content)
        elif "*" in tree:
            out[name] = _apply(tree["*"], content)
    return out


def _bad(selector: str) -> ApiError:
    return invalid_parameter("fields", f"Invalid field selection {selector}")
