"""The command `calsync`: run the service, try it, check it.

Every command imports what it needs when it runs, so that `calsync --help` answers at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from sync_service.errors import SyncError


class _Group(click.Group):
    """Prints an expected failure as one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SyncError as fault:
            raise click.ClickException(fault.detail) from fault


@click.group(cls=_Group)
@click.version_option(package_name="calsync")
def main() -> None:
    """Real-time two-way calendar sync for applications on Supabase."""


@main.command()
@click.option("--ephemeral", is_flag=True, help="Keep no data: start empty, leave nothing.")
@click.option(
    "--port-base", default=54300, show_default=True, help="First port; 0 takes any free ports."
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".calsync"),
    show_default=True,
    help="Where data, logs and stack.json are kept.",
)
@click.option("--app/--no-app", default=False, help="Start the API and the workers too.")
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
@click.option(
    "--database-url",
    envvar=["DATABASE_ADMIN_URL", "DATABASE_URL"],
    required=True,
    help="A connection that may create tables and roles, such as the role postgres. "
    "Default: DATABASE_ADMIN_URL, else DATABASE_URL.",
)
@click.option(
    "--ignore-unknown", is_flag=True, help="Accept migrations that belong to your own application."
)
def migrate(database_url: str, ignore_unknown: bool) -> None:
    """Apply the migrations that the database has not seen yet."""
    from sync_service.store.migrate import migrate as apply

    done = asyncio.run(apply(database_url, ignore_unknown=ignore_unknown, say=click.echo))
    click.echo(f"{len(done)} applied" if done else "nothing to do: every migration is applied")


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
