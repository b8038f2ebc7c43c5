"""Where one statement of a migration ends and the next begins."""

from __future__ import annotations

import pytest

from sync_service.store.migrate import load
from sync_service.store.sql_split import split


@pytest.mark.parametrize(
    "statement",
    [
        "select ';'",
        "select 'it''s; fine'",
        r"select E'a\';b'",
        'select 1 as "a;b"',
        "select $$a;b$$",
        "select $tag$ $$ ; $tag$",
        "select $1 || $2",
        "select 1 -- not; here",
        "select /* nor; /* here; */ ; */ 1",
        "create function f() begin atomic select case when true then 1 end; select 2; end",
    ],
)
def test_a_semicolon_inside_does_not_end_a_statement(statement: str):
    assert [piece.text for piece in split(f"{statement}\n;\nselect 2;")] == [statement, "select 2"]


def test_comments_alone_are_no_statement():
    assert split("-- nothing\n/* here */ ;\n\n") == []


def test_lines_are_those_of_the_file():
    pieces = split("\nselect 1;\n\n-- about\nselect\n2;")
    assert [(piece.line, piece.body_line) for piece in pieces] == [(2, 2), (4, 5)]


def test_our_own_migrations_are_read_to_their_end():
    for migration in load():
        sql = migration.path.read_text()
        pieces = split(sql)
        assert pieces
        assert sql.rstrip().removesuffix(";").endswith(pieces[-1].text)
