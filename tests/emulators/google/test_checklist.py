"""The checklist is complete: every statement has its tests, every number its statement."""

from __future__ import annotations

import pytest

from tests.emulators.google import checklist


def test_every_statement_has_a_test() -> None:
    found = checklist.evidence()
    assert found.keys() == checklist.STATEMENTS.keys() == set(range(1, 63))
    assert [number for number, names in found.items() if not names] == []
    assert checklist.main() == 0


def test_a_statement_without_a_test_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(checklist.STATEMENTS, 63, "Nothing proves this.")
    assert checklist.main() == 1
    assert "NO TEST" in capsys.readouterr().out
