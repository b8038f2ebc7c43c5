"""The composition of the embedded stack: which parts, in which order, with which settings."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx

from sync_service.devstack import bootstrap, keys, lite, ports, stackfile, valkey
from sync_service.devstack.keys import StackKeys, write_private
from sync_service.devstack.ports import LOOPBACK
from sync_service.devstack.postgres import Cluster
from sync_service.devstack.stackfile import StackFile
from sync_service.devstack.supervisor import Part, Supervisor, together
from sync_service.emulators.google.seed import CLIENT_ID, CLIENT_SECRET
from sync_service.errors import Misconfigured
from sync_service.settings import Settings, check_database_url, load_settings
from sync_service.store.migrate import migrate

DEFAULT_PORT_BASE = 54300
DEFAULT_FOLDER = Path(".calsync")
SERVICE_ENVIRONMENT = "service.env"
"""File beside `stack.json`: the settings with which to run `calsync serve` or `worker` by hand."""

LISTENER = "calsync-listen"
"""Name of the database session in which a worker hears of new work."""

SUPABASE_SETTINGS = (
    "SUPABASE_URL",
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_SECRET_KEY",
    "DATABASE_URL",
)
"""They name one project, so they replace the embedded one together or not at all."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `calsync dev` was asked for."""

    folder: Path = DEFAULT_FOLDER
    port_base: int = DEFAULT_PORT_BASE
    """0 takes any free ports."""
    ephemeral: bool = False
    app: bool = True
    """False leaves out the service's own processes, to run them by hand."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """The settings that replace embedded parts."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack in which everything answers."""

    info: StackFile
    environment: Mapping[str, str]
    """The settings with which the service runs on this stack."""
    supervisor: Supervisor


@contextlib.asynccontextmanager
async def running(options: Options, say: Callable[[str], None]) -> AsyncGenerator[Stack]:
    """Start the stack, hand it over once everything answers, and stop it at the end.

    A cancellation while it stops makes it kill what has not stopped yet.
    """
    folder = options.folder.resolve()
    with _only_one(folder):
        stackfile.remove(folder)
        supervisor = Supervisor(folder, say)
        home = folder / ("ephemeral" if options.ephemeral else "data")
        shutil.rmtree(folder / "ephemeral", ignore_errors=True)
        home.mkdir(exist_ok=True)
        try:
            stack = await _Builder(options, folder, home, supervisor, say).build()
            lines = (f"{name}={shlex.quote(value)}\n" for name, value in stack.environment.items())
            write_private(folder / SERVICE_ENVIRONMENT, "".join(lines).encode())
            path = stackfile.write(folder, stack.info)
            say(f"everything answers; {path} says where")
            yield stack
        finally:
            stackfile.remove(folder)
            (folder / SERVICE_ENVIRONMENT).unlink(missing_ok=True)
            try:
                await supervisor.stop()
            except asyncio.CancelledError:
                await supervisor.stop(patience_s=0)
                raise
            finally:
                if options.ephemeral:
                    shutil.rmtree(home, ignore_errors=True)


class _Builder:
    """Puts the parts together, wave by wave; what a setting points elsewhere is left out."""

    def __init__(
        self,
        options: Options,
        folder: Path,
        home: Path,
        supervisor: Supervisor,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._given = {name: value for name, value in options.environment.items() if value}
        self._folder = folder
        self._home = home
        self._supervisor = supervisor
        self._say = say
        self._keys: StackKeys = keys.load_or_generate(home / "keys.json")
        self._ports = ports.assign(options.port_base)
        self._own_supabase = not self._given_supabase()
        self._migrated = False
        self._workers = 1
        self._metrics_port: int | None = None
        self._own_google = not (
            "GOOGLE_CLIENT_ID" in self._given or "GOOGLE_API_BASE_URL" in self._given
        )
        self._cluster = Cluster(
            data=home / "postgres",
            port=self._ports["postgres"],
            superuser_password=self._keys.superuser_password,
            durable=not options.ephemeral,
        )

    def _given_supabase(self) -> bool:
        given = [name for name in SUPABASE_SETTINGS if name in self._given]
        if given and len(given) < len(SUPABASE_SETTINGS):
            missing = ", ".join(name for name in SUPABASE_SETTINGS if name not in given)
            raise Misconfigured(
                f"{', '.join(given)} points to a Supabase project of yours; set {missing} too, "
                "or unset it to use the embedded one"
            )
        return bool(given)

    async def build(self) -> Stack:
        """Start every wave and return the finished stack."""
        environment = self._service_environment()
        settings = _checked(environment)
        self._workers, self._metrics_port = settings.workers, settings.worker_metrics_port
        ports.require_free(self._ports_in_use())
        standalone = self._supervisor.start(*self._standalone_parts(environment))
        if self._own_supabase:
            await together(self._start_supabase(), standalone)
        else:
            await standalone
        await self._migrate()
        self._migrated = True
        if self._own_supabase:
            await self._first_request()
        if self._options.app:
            await self._supervisor.start(*self._app_parts(environment))
        return Stack(
            info=self._info(environment), environment=environment, supervisor=self._supervisor
        )

    def _ports_in_use(self) -> dict[str, int]:
        wanted = {
            "api": self._options.app,
            "supabase": self._own_supabase,
            "postgres": self._own_supabase,
            "valkey": "REDIS_URL" not in self._given,
            "google": self._own_google,
        }
        return {part: self._ports[part] for part, used in wanted.items() if used}

    async def _start_supabase(self) -> None:
        """Postgres, then what hosted Supabase brings, then Lite, which makes its own tables."""
        secrets = self._keys
        await self._cluster.initialise()
        await self._supervisor.start(self._cluster.part())
        await bootstrap.run(
            self._cluster.superuser_url,
            "bootstrap.sql",
            "lite.sql",
            passwords={
                "postgres": secrets.postgres_password,
                "calsync_service": secrets.service_password,
                "supabase_lite": secrets.lite_password,
            },
        )
        part = lite.part(
            port=self._ports["supabase"],
            database_url=self._cluster.url("supabase_lite", secrets.lite_password),
            jwt_secret=secrets.jwt_secret,
            publishable_key=secrets.publishable_key,
            secret_key=secrets.secret_key,
            config=self._home / "lite.toml",
            # At every start Lite puts its own helper functions in place of the hosted ones.
            after_start=self._after_lite,
        )
        await self._supervisor.start(part)

    async def _after_lite(self) -> None:
        await bootstrap.run(self._cluster.superuser_url, "auth.sql")
        if self._migrated:
            await self._first_request()

    async def _first_request(self) -> None:
        await lite.ask_once(self._ports["supabase"], self._keys.publishable_key)

    def _standalone_parts(self, environment: Mapping[str, str]) -> list[Part]:
        parts: list[Part] = []
        if "REDIS_URL" not in self._given:
            parts.append(valkey.part(self._ports["valkey"], self._home / "valkey"))
        if self._own_google:
            parts.append(self._google(environment))
        return parts

    def _google(self, environment: Mapping[str, str]) -> Part:
        port = self._ports["google"]
        state = () if self._options.ephemeral else ("--state", str(self._home / "google.json"))
        return Part(
            name="google",
            argv=(
                *_calsync(),
                *("emulate", "google", "--port", str(port)),
                *("--redirect-uri", environment["GOOGLE_REDIRECT_URI"]),
                *state,
            ),
            ready=_answers(f"http://{LOOPBACK}:{port}/oauth2/v3/certs"),
        )

    def _app_parts(self, environment: Mapping[str, str]) -> list[Part]:
        api = Part(
            name="api",
            argv=(*_calsync(), "serve", "--port", str(self._ports["api"])),
            env=environment,
            ready=_answers(f"http://{LOOPBACK}:{self._ports['api']}/readyz"),
        )
        workers = [
            Part(
                name="worker" if count == 0 else f"worker-{count + 1}",
                argv=(*_calsync(), "worker"),
                env={**environment, **self._metrics_of(count)},
                ready=self._workers_listen,
                stop_timeout_s=30,
            )
            for count in range(self._workers)
        ]
        return [api, *workers]

    def _metrics_of(self, worker: int) -> dict[str, str]:
        port = self._metrics_port
        return {} if port is None else {"WORKER_METRICS_PORT": str(port + worker)}

    async def _workers_listen(self) -> None:
        """Return once as many sessions listen for work as there are workers.

        Only asked of the embedded database: poolers name sessions as they like.
        """
        if not self._own_supabase:
            return
        connection = await asyncpg.connect(self._cluster.superuser_url)
        try:
            listening = await connection.fetchval(
                "select count(*) from pg_stat_activity where application_name = $1", LISTENER
            )
        finally:
            await connection.close()
        if listening < self._workers:
            raise ConnectionError(f"{listening} of {self._workers} workers listen")

    async def _migrate(self) -> None:
        admin = self._given.get("DATABASE_ADMIN_URL")
        if self._own_supabase:
            admin = self._admin_url()
        if admin is None:
            self._say("DATABASE_ADMIN_URL is not set: migrations are left to you")
            return
        applied = await migrate(admin, say=lambda _: None)
        if applied:
            self._say(f"applied {len(applied)} migrations")

    def _admin_url(self) -> str:
        return self._cluster.url("postgres", self._keys.postgres_password)

    def _service_environment(self) -> dict[str, str]:
        """Return the service's settings: the embedded parts' first, what was given over them."""
        public_url = self._given.get("PUBLIC_URL", f"http://{LOOPBACK}:{self._ports['api']}")
        secrets = self._keys
        settings = {
            "SUPABASE_URL": f"http://{LOOPBACK}:{self._ports['supabase']}",
            "SUPABASE_PUBLISHABLE_KEY": secrets.publishable_key,
            "SUPABASE_SECRET_KEY": secrets.secret_key,
            "DATABASE_URL": self._cluster.url("calsync_service", secrets.service_password),
            "REDIS_URL": valkey.url(self._ports["valkey"]),
            "PUBLIC_URL": public_url,
            "TOKENS_ENCRYPTION_KEY": secrets.tokens_encryption_key,
        }
        if self._own_supabase:
            # Lite signs with a shared secret; another project says by itself how it signs.
            settings["SUPABASE_JWT_SECRET"] = secrets.jwt_secret
        if self._own_google:
            base = f"http://{LOOPBACK}:{self._ports['google']}"
            settings |= {
                "GOOGLE_CLIENT_ID": CLIENT_ID,
                "GOOGLE_CLIENT_SECRET": CLIENT_SECRET,
                "GOOGLE_REDIRECT_URI": f"{public_url}/auth/google/callback",
                "GOOGLE_API_BASE_URL": base,
                "GOOGLE_AUTH_URL": f"{base}/o/oauth2/v2/auth",
                "GOOGLE_TOKEN_URL": f"{base}/token",
                "GOOGLE_REVOKE_URL": f"{base}/revoke",
                "GOOGLE_USERINFO_URL": f"{base}/oauth2/v3/userinfo",
                "GOOGLE_TOKENINFO_URL": f"{base}/tokeninfo",
                "GOOGLE_CERTS_URL": f"{base}/oauth2/v3/certs",
            }
        return settings | self._given

    def _info(self, environment: Mapping[str, str]) -> StackFile:
        api_url = f"http://{LOOPBACK}:{self._ports['api']}"
        return StackFile(
            api_url=api_url,
            console_url=f"{api_url}/console",
            supabase_url=environment["SUPABASE_URL"],
            publishable_key=environment["SUPABASE_PUBLISHABLE_KEY"],
            secret_key=environment["SUPABASE_SECRET_KEY"],
            database_url=(
                self._admin_url()
                if self._own_supabase
                else self._given.get("DATABASE_ADMIN_URL", environment["DATABASE_URL"])
            ),
            service_database_url=environment["DATABASE_URL"],
            redis_url=environment["REDIS_URL"],
            google_url=environment["GOOGLE_API_BASE_URL"] if self._own_google else None,
            notion_url=None,
            functions_url=None,
        )


@contextlib.contextmanager
def _only_one(folder: Path) -> Generator[None]:
    """Hold the folder's lock, which the kernel lets go of however this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Misconfigured(
                f"a stack is already running in {folder} (process {file.read().strip()}); "
                "stop it, or start this one with another --dir and --port-base"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _checked(environment: Mapping[str, str]) -> Settings:
    """Return the settings as the service will read them, before anything is started with them."""
    if "DATABASE_ADMIN_URL" in environment:
        try:
            check_database_url(environment["DATABASE_ADMIN_URL"])
        except ValueError as fault:
            raise Misconfigured(f"DATABASE_ADMIN_URL: {fault}") from None
    return load_settings(**{name.lower(): value for name, value in environment.items()})


def _calsync() -> tuple[str, ...]:
    return (sys.executable, "-m", "sync_service.cli")


def _answers(url: str) -> Callable[[], Awaitable[None]]:
    async def ready() -> None:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
                answer = await client.get(url)
        except httpx.TransportError as fault:
            raise ConnectionError("no answer yet") from fault
        if not answer.is_success:
            # Our own answers say what is missing, such as Redis.
            raise ConnectionError(_reason(answer))

    return ready


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return f"it answers {answer.status_code}"
