"""`calsync doctor` on a stack where all is well, and on settings with one thing wrong."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from sync_service.cli import main


def _doctor(settings: dict[str, str]) -> tuple[int, str]:
    outcome = CliRunner().invoke(main, ["doctor"], env=settings)
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit)
    for name in ("SUPABASE_SECRET_KEY", "TOKENS_ENCRYPTION_KEY", "SUPABASE_JWT_SECRET"):
        assert not settings[name] or settings[name] not in outcome.output
    return outcome.exit_code, outcome.output


def test_all_is_well_on_the_embedded_stack(service_settings: dict[str, str]):
    code, output = _doctor(service_settings)
    assert "wrong" not in output
    assert code == 0
    for subject in ("DATABASE_URL", "migrations", "REDIS_URL", "SUPABASE_SECRET_KEY"):
        assert f"ok     {subject}" in output
    assert "ok     GOOGLE_CLIENT_ID" in output
    assert "note   PUBLIC_URL leads to no running service" in output


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("DATABASE_URL", "postgresql://calsync_service:x@127.0.0.1:9/postgres", "does not answer"),
        ("REDIS_URL", "redis://127.0.0.1:9/0", "REDIS_URL does not answer"),
        ("SUPABASE_URL", "http://127.0.0.1:9", "SUPABASE_URL does not answer"),
        ("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_other", "SUPABASE_PUBLISHABLE_KEY the data"),
        ("SUPABASE_SECRET_KEY", "sb_secret_other", "SUPABASE_SECRET_KEY the data API does not"),
        ("SUPABASE_JWT_SECRET", "", "the project publishes no keys"),
        ("GOOGLE_CLIENT_SECRET", "other", "GOOGLE_CLIENT_ID or its secret is not accepted"),
        ("GOOGLE_CERTS_URL", "http://127.0.0.1:9/certs", "Google does not answer"),
        ("TOKENS_ENCRYPTION_KEY", "abc", "TOKENS_ENCRYPTION_KEY must be 32 bytes"),
        ("PUBLIC_URL", "http://calendar.example.com", "must be https"),
        ("SUPABASE_SECRET_KEY", "sb_secret_…", "SUPABASE_SECRET_KEY is not a key"),
        ("GOOGLE_POLL_SECONDS", "0", "GOOGLE_POLL_SECONDS Input should be greater"),
    ],
)
def test_one_wrong_thing_is_named_with_how_to_mend_it(
    service_settings: dict[str, str], name: str, value: str, finding: str
):
    code, output = _doctor(service_settings | {name: value})
    assert code == 1
    assert finding in output
    assert "→" in output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "nonsense"),
        ("SUPABASE_URL", "https://<project ref>.supabase.co"),
        ("DATABASE_URL", "notaurl"),
        ("DATABASE_URL", "postgresql://user:pass#word@host:5432/postgres"),
        ("REDIS_URL", "nonsense"),
        ("REDIS_URL", ""),
    ],
)
def test_a_malformed_setting_is_one_finding_and_the_rest_is_checked(
    service_settings: dict[str, str], name: str, value: str
):
    code, output = _doctor(service_settings | {name: value})
    assert code == 1
    wrong = [line for line in output.splitlines() if line.startswith("wrong")]
    assert len(wrong) == 1
    assert wrong[0].startswith(f"wrong  {name} ")
    for subject in {"DATABASE_URL", "REDIS_URL", "GOOGLE_CLIENT_ID"} - {name}:
        assert f"ok     {subject}" in output


def test_a_wrong_password_is_named_and_not_shown(service_settings: dict[str, str]):
    url = service_settings["DATABASE_URL"]
    password = url.rpartition("@")[0].rpartition(":")[2]
    code, output = _doctor(
        service_settings | {"DATABASE_URL": url.replace(password, "open-sesame")}
    )
    assert code == 1
    assert "password authentication failed" in output
    assert "open-sesame" not in output
