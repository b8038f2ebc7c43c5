"""Sealing: opens only with its key and in its place, and tells what is wrong otherwise."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_service.errors import Misconfigured
from sync_service.vault import Vault

KEY, OTHER = b"k" * 32, b"o" * 32
PLACE, ROW = "connection_tokens.access_token", uuid4()


@given(st.text())
def test_what_was_sealed_opens(secret: str) -> None:
    vault = Vault(KEY)
    assert vault.open(vault.seal(secret, place=PLACE, row=ROW), place=PLACE, row=ROW) == secret


def test_the_sealed_form_is_the_one_that_the_tables_demand() -> None:
    sealed = Vault(KEY).seal("ya29.secret", place=PLACE, row=ROW)
    assert re.fullmatch(r"v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+", sealed)
    assert "secret" not in sealed


def test_no_two_seals_are_alike() -> None:
    vault = Vault(KEY)
    assert vault.seal("x", place=PLACE, row=ROW) != vault.seal("x", place=PLACE, row=ROW)


def test_it_opens_nowhere_else() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("x", place=PLACE, row=ROW)
    for place, row in ((PLACE, uuid4()), ("connection_tokens.refresh_token", ROW)):
        with pytest.raises(Misconfigured, match="does not belong") as caught:
            vault.open(sealed, place=place, row=row)
        assert caught.value.code == "sealed_elsewhere"


def test_a_changed_letter_does_not_open() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("x" * 40, place=PLACE, row=ROW)
    changed = sealed[:-4] + ("A" if sealed[-4] != "A" else "B") + sealed[-3:]
    with pytest.raises(Misconfigured):
        vault.open(changed, place=PLACE, row=ROW)


def test_keys_rotate() -> None:
    sealed = Vault(OTHER).seal("x", place=PLACE, row=ROW)
    assert Vault(KEY, [OTHER]).open(sealed, place=PLACE, row=ROW) == "x"
    with pytest.raises(Misconfigured, match="TOKENS_ENCRYPTION_KEYS_OLD"):
        Vault(KEY).open(sealed, place=PLACE, row=ROW)
