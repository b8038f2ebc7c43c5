"""Every setting of the service, read once from the environment (or `.env`) and then frozen.

A wrong or missing value is reported together with all the others, each with how to mend it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sync_service.errors import Misconfigured

_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+(%\w+)?")


class Settings(BaseSettings):
    """The configuration of one process. Every field is the lower-case name of its variable."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    supabase_url: str = Field(description="The project's URL, as supabase-js takes it.")
    supabase_publishable_key: str = Field(description="`sb_publishable_…` (or the anon key).")
    supabase_secret_key: SecretStr = Field(description="`sb_secret_…` (or the service-role key).")
    supabase_jwt_secret: SecretStr | None = Field(
        None, description="Only for projects that still sign with a shared secret; else JWKS."
    )
    database_url: SecretStr = Field(
        description="Direct or session-mode connection of the role `calsync_service`."
    )
    redis_url: SecretStr = Field(description="Valkey or Redis: wakes, schedules, counts.")
    public_url: str = Field(description="Where Google reaches this service, https.")
    tokens_encryption_key: SecretStr = Field(description="32 bytes as 64 hex digits.")
    tokens_encryption_keys_old: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Earlier keys, comma-separated, still readable while rotating."
    )
    allowed_return_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins besides `PUBLIC_URL` that `return_to` may name."
    )

    google_client_id: str = Field("", description="OAuth client of the Google Cloud project.")
    google_client_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    google_redirect_uri: str = Field(
        "", description="Default: `PUBLIC_URL` + `/auth/google/callback`."
    )
    google_api_base_url: str = Field("https://www.googleapis.com", description="Calendar API.")
    google_auth_url: str = Field(
        "https://accounts.google.com/o/oauth2/v2/auth", description="Consent page."
    )
    google_token_url: str = Field(
        "https://oauth2.googleapis.com/token", description="Token endpoint."
    )
    google_revoke_url: str = Field(
        "https://oauth2.googleapis.com/revoke", description="Revocation endpoint."
    )
    google_userinfo_url: str = Field(
        "https://openidconnect.googleapis.com/v1/userinfo", description="OpenID user info."
    )
    google_tokeninfo_url: str = Field(
        "https://oauth2.googleapis.com/tokeninfo", description="Says whose a token is."
    )
    google_certs_url: str = Field(
        "https://www.googleapis.com/oauth2/v3/certs", description="Keys that sign id tokens."
    )
    notion_client_id: str = Field("", description="Public connection of the Notion workspace.")
    notion_client_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    notion_redirect_uri: str = Field(
        "", description="Default: `PUBLIC_URL` + `/auth/notion/callback`."
    )
    notion_api_base_url: str = Field("https://api.notion.com", description="Notion API.")
    notion_auth_url: str = Field(
        "https://api.notion.com/v1/oauth/authorize", description="Notion's consent page."
    )

    sync_window_past_days: int = Field(180, ge=1, description="How far back a calendar is read.")
    google_poll_seconds: int = Field(900, ge=1, description="Fallback poll of every calendar.")
    notion_poll_seconds: int = Field(120, ge=1, description="Poll of every Notion data source.")
    queue_sweep_seconds: int = Field(5, ge=1, le=30, description="Looks for work nobody rang for.")
    channel_ttl_seconds: int = Field(604_800, ge=60, description="Asked lifetime of a channel.")
    channel_renew_margin_seconds: int = Field(
        172_800, ge=1, description="A channel is renewed when less than this is left."
    )
    lease_seconds: int = Field(60, ge=1, description="A claim of a queue row lapses after this.")
    push_max_attempts: int = Field(8, ge=1, description="Then the row is kept as failed.")
    google_user_calls_per_minute: int = Field(600, ge=1, description="Google's quota per user.")
    google_project_calls_per_minute: int = Field(
        10_000, ge=1, description="Google's quota per project."
    )
    notion_calls_per_minute: int = Field(180, ge=1, description="Notion's quota per connection.")
    deletion_breaker_share: float = Field(
        0.5, gt=0, le=1, description="Share of deletions in one pass that pauses a calendar …"
    )
    deletion_breaker_min: int = Field(10, ge=1, description="… once there are at least so many.")
    retain_queue_days: int = Field(7, ge=1, description="Completed queue rows are kept so long.")
    retain_audit_days: int = Field(30, ge=1, description="Audit rows are kept so long.")
    retain_tombstones_days: int = Field(30, ge=1, description="Deleted events are kept so long.")
    workers: int = Field(1, ge=1, le=32, description="Worker processes that `calsync dev` starts.")
    worker_metrics_port: int | None = Field(
        None, ge=1, le=65_535, description="A worker's `/metrics`, on loopback; default: none."
    )
    smtp_url: SecretStr | None = Field(None, description="`smtp://…`: notifications by e-mail.")

    @field_validator("tokens_encryption_keys_old", "allowed_return_origins", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("tokens_encryption_key")
    @classmethod
    def _key_is_32_bytes(cls, value: SecretStr) -> SecretStr:
        _check_key(value)
        return value

    @field_validator("tokens_encryption_keys_old")
    @classmethod
    def _old_keys_are_32_bytes(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in value:
            _check_key(key)
        return value

    @field_validator("supabase_publishable_key", "supabase_secret_key")
    @classmethod
    def _keys_can_be_sent(cls, value: str | SecretStr) -> str | SecretStr:
        key = value if isinstance(value, str) else value.get_secret_value()
        # A placeholder such as `sb_secret_…` is no header's value.
        if not (key.isascii() and key.isprintable()):
            raise ValueError("is not a key: copy it from the project's API settings")
        return value

    @field_validator("supabase_url")
    @classmethod
    def _is_a_project(cls, value: str) -> str:
        if not _is_url(value, "https", "http"):
            raise ValueError("must be the project's URL, such as https://<ref>.supabase.co")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr) -> SecretStr:
        check_database_url(value.get_secret_value())
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_a_redis(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        numbered = _is_url(url, "redis", "rediss") and re.fullmatch(r"/?\d*", urlsplit(url).path)
        if not (numbered or url.startswith("unix://")):
            raise ValueError("must be redis://, rediss:// or unix://, such as redis://host:6379/0")
        return value

    @field_validator("public_url", "supabase_url", "google_api_base_url", "notion_api_base_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator(
        "public_url",
        "google_api_base_url",
        "google_auth_url",
        "google_token_url",
        "google_revoke_url",
        "google_userinfo_url",
        "google_tokeninfo_url",
        "google_certs_url",
        "notion_api_base_url",
        "notion_auth_url",
    )
    @classmethod
    def _https_or_loopback(cls, value: str) -> str:
        if _is_url(value, "https") or (
            _is_url(value, "http") and is_loopback(urlsplit(value).hostname)
        ):
            return value
        raise ValueError("must be https (plain http is accepted on loopback only)")

    @model_validator(mode="after")
    def _fill_redirects(self) -> Self:
        for provider in ("google", "notion"):
            if not getattr(self, f"{provider}_redirect_uri"):
                object.__setattr__(
                    self,
                    f"{provider}_redirect_uri",
                    f"{self.public_url}/auth/{provider}/callback",
                )
        return self


def is_loopback(host: str | None) -> bool:
    """Say whether *host* is `localhost` or a loopback address."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment; *overrides* (by field name) win.

    Raises `Misconfigured` with what is wrong with each faulty variable, as one text and, in its
    context, by the variable's name.
    """
    try:
        return Settings(**overrides)
    except ValidationError as fault:
        problems = {
            ".".join(str(part) for part in problem["loc"]).upper() or "settings": (
                "is not set"
                if problem["type"] == "missing"
                else problem["msg"].removeprefix("Value error, ")
            )
            for problem in fault.errors(include_url=False, include_input=False)
        }
        lines = [f"{name}: {message}" for name, message in problems.items()]
        raise Misconfigured("; ".join(lines), context=problems) from None


def check_database_url(value: str) -> str:
    """Return *value* if it has the shape of a Postgres URL; raise `ValueError` if not."""
    # Nobody to name: the local socket.
    if not (_is_url(value, "postgresql", "postgres") or value.startswith("postgresql:///")):
        raise ValueError(
            "must be postgresql://user:password@host:port/database, with the password's special "
            "characters percent-encoded"
        )
    return value


def _is_url(value: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(_HOST.fullmatch(parts.hostname or ""))


def _check_key(value: SecretStr) -> None:
    try:
        size = len(bytes.fromhex(value.get_secret_value()))
    except ValueError:
        size = 0
    if size != 32:
        raise ValueError("must be 32 bytes as 64 hex digits: `openssl rand -hex 32` makes one")
