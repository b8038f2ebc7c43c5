"""The command `calsync`: run the service, try it, check it.

Every command imports what it needs when it runs, so that `calsync --help` answers at once.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from sync_service.cli.failures import explain, listening

PORT_BASE = click.IntRange(0, 65_500)
PORT = click.IntRange(1, 65_535)


class _Group(click.Group):
    """Prints an expected failure as one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as fault:
            line = explain(fault)
            if line is None:
                raise
            raise click.ClickException(line) from fault


@click.group(cls=_Group)
@click.version_option(package_name="calsync")
def main() -> None:
    """Real-time two-way calendar sync for applications on Supabase."""


@main.command()
@click.option("--ephemeral", is_flag=True, help="Keep no data: start empty, leave nothing.")
@click.option(
    "--port-base",
    type=PORT_BASE,
    default=54300,
    show_default=True,
    help="First port; 0 takes any free ports.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".calsync"),
    show_default=True,
    help="Where data, logs and stack.json are kept.",
)
@click.option(
    "--app/--no-app",
    default=True,
    help="Leave out the service itself, to run it by hand with the settings in service.env.",
)
def dev(ephemeral: bool, port_base: int, folder: Path, app: bool) -> None:
    """Run the embedded stack until Ctrl-C."""
    from sync_service.devstack import stack

    options = stack.Options(
        folder=folder,
        port_base=port_base,
        ephemeral=ephemeral,
        app=app,
        environment=_given_settings(),
    )

    async def stay() -> None:
        async with stack.running(options, click.echo):
            await asyncio.Event().wait()

    _run_until_signalled(stay())
    click.echo("stopped")


@main.command()
@click.option("--once", is_flag=True, help="End after the verification; exit 0 if all is well.")
@click.option(
    "--port-base",
    type=PORT_BASE,
    default=54300,
    show_default=True,
    help="First port; others if one is taken.",
)
def demo(once: bool, port_base: int) -> None:
    """Show events travelling both ways between an app and an emulated Google Calendar."""
    from sync_service.cli import verifying
    from sync_service.devstack import demo as tour

    outcome: list[bool] = []

    async def travel() -> None:
        outcome.append(
            await tour.run(once=once, port_base=port_base, say=click.echo, show=verifying.show)
        )

    _run_until_signalled(travel())
    if once and outcome != [True]:
        raise SystemExit(1)


@main.command()
@click.option(
    "--database-url",
    help="A connection that may create tables and roles, such as the role postgres. "
    "Default: DATABASE_ADMIN_URL, else DATABASE_URL.",
)
@click.option(
    "--ignore-unknown", is_flag=True, help="Accept migrations that belong to your own application."
)
def migrate(database_url: str | None, ignore_unknown: bool) -> None:
    """Apply the migrations that the database has not seen yet."""
    from sync_service.settings import check_database_url
    from sync_service.store.migrate import migrate as apply

    given = {"--database-url": database_url} | _given_settings()
    names = ("--database-url", "DATABASE_ADMIN_URL", "DATABASE_URL")
    name = next((name for name in names if given.get(name)), None)
    if name is None:
        raise click.UsageError("no database: set DATABASE_ADMIN_URL, or give --database-url")
    try:
        url = check_database_url(given[name] or "")
    except ValueError as fault:
        raise click.ClickException(f"{name}: {fault}") from fault
    done = asyncio.run(apply(url, ignore_unknown=ignore_unknown, say=click.echo))
    click.echo(f"{len(done)} applied" if done else "nothing to do: every migration is applied")


@main.command()
def doctor() -> None:
    """Check every setting and dependency, and say how to mend what is wrong."""
    from sync_service.cli import checkup

    if not asyncio.run(checkup.run(click.echo)):
        raise SystemExit(1)


@main.command()
@click.option("--calendar", type=click.UUID, help="Only this one; default: every synced calendar.")
def verify(calendar: UUID | None) -> None:
    """Read both sides of every calendar and report whether they are equal."""
    from sync_service.cli import verifying

    if not asyncio.run(verifying.run(calendar, click.echo)):
        raise SystemExit(1)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8000, envvar="PORT", show_default=True)
def serve(host: str, port: int) -> None:
    """Run an API process."""
    from sync_service.cli import serving

    serving.run(host, port)


@main.command()
def worker() -> None:
    """Run a worker process: it drains the queue, pulls, and keeps the schedules."""
    # By name: the package of schedules sits above this one.
    importlib.import_module("jobs.worker").run()


@main.group()
def emulate() -> None:
    """Run an emulated provider alone."""


@emulate.command()
@click.option("--port", type=PORT, default=4010, show_default=True)
@click.option("--seed", default=0, show_default=True, help="All chance follows from it.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Registered for the client.")
@click.option("--auto-consent", is_flag=True, help="Consent without showing the page.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Go on from this file, and keep everything in it.",
)
def google(
    port: int, seed: int, redirect_uris: tuple[str, ...], auto_consent: bool, state: Path | None
) -> None:
    """An emulated Google: OAuth and the Calendar API, in memory."""
    from msgspec import MsgspecError

    from sync_service.emulators.google import run

    try:
        with listening("127.0.0.1", port):
            run(
                port=port,
                seed=seed,
                redirect_uris=redirect_uris,
                auto_consent=auto_consent,
                state=state,
            )
    except MsgspecError as fault:
        raise click.ClickException(
            f"{state} is no state of the emulator ({fault}): move it away to start anew"
        ) from fault


def _given_settings() -> dict[str, str]:
    """Return the settings of the environment and of `.env`, the environment's first."""
    from dotenv import dotenv_values

    from sync_service.settings import Settings

    names = {name.upper() for name in Settings.model_fields} | {"DATABASE_ADMIN_URL"}
    values = dotenv_values(".env") | os.environ
    return {name: value for name in names if (value := values.get(name))}


def _run_until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run *work*; Ctrl-C, SIGTERM and a closed terminal cancel it, a second one hurries it."""

    async def supervised() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return

    asyncio.run(supervised())
