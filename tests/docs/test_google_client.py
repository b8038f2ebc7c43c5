"""The list of rules names tests; each of them must exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_named_test_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/google-client.md").read_text()))
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", sources))
    assert named - defined == set()
    assert len(named) > 40


def test_every_rule_is_there() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs/google-client.md").read_text(), re.MULTILINE)
    assert [int(number) for number in rows] == list(range(1, 43))
