"""What the documentation must name, read from the code.

`python -m tests.docs.reference` writes the table of settings into the README.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from pydantic_core import PydanticUndefined

from sync_service import errors, telemetry
from sync_service.api import problems
from sync_service.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- settings: generated, see tests/docs -->\n", "<!-- /settings -->"


def settings_table() -> str:
    """Return the README's table: every setting, its default, its meaning."""
    lines = ["| Variable | Default | |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if default is PydanticUndefined:
            shown = "*required*"
        else:
            text = default.get_secret_value() if hasattr(default, "get_secret_value") else default
            shown = f"`{text}`" if text not in (None, "", ()) else ""
        lines.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


def with_settings_table(readme: str) -> str:
    """Return the README's text with its table of settings as it should be."""
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}{settings_table()}{END}{after}"


def metrics() -> set[str]:
    """Return the name of every metric, as a scrape shows it."""
    names: set[str] = set()
    for value in vars(telemetry).values():
        if isinstance(value, (Counter, Gauge, Histogram)):
            suffix = "_total" if isinstance(value, Counter) else ""
            names |= {f"{described.name}{suffix}" for described in value.describe()}
    return names


def error_codes() -> set[str]:
    """Return every code that an answer or a `last_error` column may hold."""
    codes = set[str]()
    codes |= set(_table_codes(ast.parse(Path(problems.__file__).read_text())))
    for path in sorted((ROOT / "sync_service").rglob("*.py")):
        if "emulators" not in path.parts:
            codes |= set(_literal_codes(ast.parse(path.read_text())))
    return codes - {errors.SyncError.code}


def _literal_codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "code":
                    yield from _texts(each.value)
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg == "code":
                yield from _texts(keyword.value)
        if isinstance(node.func, ast.Name) and node.func.id == "Problem" and len(node.args) > 1:
            yield from _texts(node.args[1])


def _table_codes(tree: ast.AST) -> Iterator[str]:
    """Yield the codes of tables: a text right after a status, as an entry's value or in a tuple."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            rows = [[key, *value.elts] for key, value in pairs if isinstance(value, ast.Tuple)]
        elif isinstance(node, ast.Tuple):
            rows = [node.elts]
        else:
            continue
        for row in rows:
            for status, code in itertools.pairwise(row):
                if isinstance(status, ast.Constant) and isinstance(status.value, int):
                    yield from _texts(code) if code is not None else ()


def _texts(node: ast.expr) -> Iterator[str]:
    branches = (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,)
    for branch in branches:
        if isinstance(branch, ast.Constant) and isinstance(branch.value, str):
            yield branch.value


if __name__ == "__main__":
    README.write_text(with_settings_table(README.read_text()))
