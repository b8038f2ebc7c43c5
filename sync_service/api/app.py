"""The composition root of the web process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import metadata

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from sync_service.api.auth import Authentication
from sync_service.api.observe import Finish, Observe
from sync_service.api.problems import HANDLERS
from sync_service.api.requests import StrictRequest
from sync_service.api.return_to import origin
from sync_service.api.routes.audit import AuditController
from sync_service.api.routes.calendars import CalendarController
from sync_service.api.routes.conflicts import ConflictController
from sync_service.api.routes.connect import CallbackController, ConnectController
from sync_service.api.routes.console import ConsoleController
from sync_service.api.routes.events import EventController
from sync_service.api.routes.health import HealthController
from sync_service.api.routes.history import HistoryController
from sync_service.api.routes.integrations import IntegrationController
from sync_service.api.routes.notices import NotificationController
from sync_service.api.routes.queue import QueueController
from sync_service.api.routes.sync import SyncController
from sync_service.api.routes.webhooks import WebhookController
from sync_service.api.services import open_services, provide_data, provide_services
from sync_service.settings import Settings, load_settings
from sync_service.telemetry import configure_logging

MAX_BODY_BYTES = 256 * 1024


def create_app(settings: Settings | None = None) -> Litestar:
    """Build the application; without *settings*, from the environment and with logs configured."""
    if settings is None:
        configure_logging("web")
        settings = load_settings()
    found = settings

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        async with open_services(found) as services:
            app.state.services = services
            yield

    return Litestar(
        route_handlers=[
            HealthController,
            CallbackController,
            _api(),
            ConsoleController,
        ],
        lifespan=[lifespan],
        dependencies={"services": Provide(provide_services)},
        middleware=[Observe()],
        before_send=[
            Finish(
                supabase_origin=origin(found.supabase_url) or "",
                https=found.public_url.startswith("https:"),
            )
        ],
        exception_handlers=HANDLERS,
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        cors_config=_cors(found),
        openapi_config=_openapi(),
        # Ours is configured in telemetry; the framework's would log requests whole.
        logging_config=None,
    )


def _api() -> Router:
    """Everything under `/api/calendar`: for signed-in users, but for the webhooks."""
    return Router(
        path="/api/calendar",
        route_handlers=[
            EventController,
            HistoryController,
            ConnectController,
            IntegrationController,
            CalendarController,
            SyncController,
            QueueController,
            ConflictController,
            NotificationController,
            AuditController,
            WebhookController,
        ],
        middleware=[Authentication],
        dependencies={"user_data": Provide(provide_data)},
        security=[{"supabase": []}],
    )


def _cors(settings: Settings) -> CORSConfig:
    allowed = [origin(url) for url in (settings.public_url, *settings.allowed_return_origins)]
    return CORSConfig(
        allow_origins=[found for found in allowed if found],
        allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "If-Match", "Prefer", "X-Request-ID"],
        expose_headers=["ETag", "Location", "Preference-Applied", "X-Request-ID", "Retry-After"],
        max_age=600,
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Calsync",
        version=metadata.version("calsync"),
        description="Real-time two-way calendar sync. Errors are RFC 9457 problem details.",
        path="/schema",
        operation_id_creator=lambda handler, _, __: handler.handler_name,
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
        components=Components(
            security_schemes={
                "supabase": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="The access token of a Supabase session.",
                )
            }
        ),
    )
