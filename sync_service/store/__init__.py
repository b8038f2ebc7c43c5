"""The machine's own door to Postgres: named statements in `sql/`, functions that run them."""
