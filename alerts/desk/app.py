"""The desk's application: what all its routes share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from alerts.courier import Courier
from alerts.desk import api, pages
from alerts.overdue import tell_overdue
from alerts.settings import DeliverySettings

log = structlog.get_logger(__name__)

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""On every answer: no scripts at all, and nothing from elsewhere."""


def create_app(engine: Engine, delivery: DeliverySettings, ready: Callable[[], bool]) -> FastAPI:
    """The application; while it runs in mode ``prometheus`` it also delivers the outbox.

    Args:
        engine: the database, already upgraded.
        delivery: where alerts go, and how.
        ready: whether ``/readyz`` may say so.
    """
    courier = Courier(
        engine,
        delivery.targets if delivery.mode == "prometheus" else (),
        lambda now: tell_overdue(engine, delivery, now),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        courier.start()
        yield
        await run_in_threadpool(courier.stop)

    # The interactive documentation would load scripts from another site.
    app = FastAPI(title="Barograph", docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.middleware("http")
    async def secure(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(OperationalError)
    async def database_down(request: Request, error: OperationalError) -> Response:
        log.warning("database-down", path=request.url.path, error=str(error.orig))
        return JSONResponse({"detail": "the database cannot be reached"}, status_code=503)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> PlainTextResponse:
        if ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", status_code=503)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.include_router(api.router(engine, delivery, courier.wake))
    app.include_router(pages.router(engine))
    static = Path(__file__).parent / "static"
    app.mount("/static", StaticFiles(directory=static), name="static")
    return app
