"""Every setting, error code, metric and command is documented, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from sync_service.cli import main
from tests.docs import reference

DOCS = reference.ROOT / "docs"
IN_QUOTES = re.compile(r"`([^`\n]+)`")
CALLBACK_STATUSES = {"connected", "denied", "invalid_state"}


def first_cells(path: Path) -> set[str]:
    """Return what stands in quotes in the first cell of each row of the tables in *path*."""
    rows = [line for line in path.read_text().splitlines() if line.startswith("| `")]
    return {name for row in rows for name in IN_QUOTES.findall(row.split("|")[1])}


def test_the_table_of_settings_is_current():
    readme = reference.README.read_text()
    assert readme == reference.with_settings_table(readme), "run python -m tests.docs.reference"


def test_every_error_code_is_documented():
    assert first_cells(DOCS / "errors.md") == reference.error_codes() | CALLBACK_STATUSES


def test_every_metric_is_documented():
    assert first_cells(DOCS / "metrics.md") == reference.metrics()


def test_every_command_is_in_the_readme():
    readme = reference.README.read_text()
    for name, command in main.commands.items():
        group = command.commands if isinstance(command, click.Group) else {"": None}
        for part in group:
            assert f"calsync {name} {part}".strip() in readme or f"make {name}" in readme


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"])
def test_every_link_leads_somewhere(path: str):
    found = reference.ROOT / path
    for document in found.rglob("*.md") if found.is_dir() else [found]:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), target


def test_the_readme_stays_readable():
    assert len(reference.README.read_text().splitlines()) < 300
