"""The desk's application: what all its routes share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from alerts.acts import NoSuchAlert
from alerts.corrections import DocumentForgotten
from alerts.courier import Courier
from alerts.desk import acting, api, live, login, pages
from alerts.desk.access import Access, SignInNeeded
from alerts.desk.feeding import Publish
from alerts.desk.guard import Guard
from alerts.desk.render import renderer
from alerts.overdue import tell_overdue
from alerts.settings import DeliverySettings

log = structlog.get_logger(__name__)


def create_app(
    engine: Engine,
    delivery: DeliverySettings,
    ready: Callable[[], bool],
    *,
    local: bool = True,
    publish: Publish | None = None,
) -> FastAPI:
    """The application; while it runs in mode ``prometheus`` it also delivers the outbox.

    Args:
        engine: the database, already upgraded.
        delivery: where alerts go, and how.
        ready: whether ``/readyz`` may say so.
        local: whether only this machine can reach it, so that no token is needed as long as none
            was made.
        publish: puts documents on the stream; None: ``POST /documents`` is refused.
    """
    courier = Courier(
        engine,
        delivery.targets if delivery.mode == "prometheus" else (),
        lambda now: tell_overdue(engine, delivery, now),
    )
    pulse = live.Pulse(engine)
    access = Access(engine, local)
    render = renderer(engine)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        courier.start()
        pulse.start()
        yield
        await pulse.stop()
        await run_in_threadpool(courier.stop)

    # The interactive documentation would load scripts from another site.
    app = FastAPI(
        title="Barograph",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=lifespan,
    )
    app.add_middleware(Guard)

    @app.exception_handler(OperationalError)
    async def database_down(request: Request, error: OperationalError) -> Response:
        log.warning("database-down", path=request.url.path, error=str(error.orig))
        return JSONResponse({"detail": "the database cannot be reached"}, status_code=503)

    @app.exception_handler(DataError)
    @app.exception_handler(UnicodeEncodeError)
    async def not_storable(_request: Request, _error: Exception) -> Response:
        fault = {"loc": [], "msg": "a value cannot be stored as text", "type": "value_error"}
        return JSONResponse({"detail": [fault]}, status_code=422)

    @app.exception_handler(RequestValidationError)
    async def wrong(_request: Request, error: RequestValidationError) -> Response:
        # Without the input: it may be a secret, and need not even be text.
        found = [{name: each[name] for name in ("loc", "msg", "type")} for each in error.errors()]
        return Response(
            json.dumps({"detail": found}, default=str), 422, media_type="application/json"
        )

    @app.exception_handler(SignInNeeded)
    async def sign_in(request: Request, _error: SignInNeeded) -> Response:
        going = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/login?next={quote(going)}", 303)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse(
                {"detail": error.detail}, status_code=error.status_code, headers=error.headers
            )
        return render(
            request, "refused.html", {"detail": error.detail}, status_code=error.status_code
        )

    @app.exception_handler(NoSuchAlert)
    async def no_such_alert(request: Request, _error: NoSuchAlert) -> Response:
        return await refused(request, HTTPException(404, "no such alert"))

    @app.exception_handler(DocumentForgotten)
    async def document_forgotten(request: Request, _error: DocumentForgotten) -> Response:
        return await refused(request, HTTPException(410, "that document was forgotten"))

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

    app.include_router(api.router(engine, delivery, courier.wake, access, publish))
    app.include_router(login.router(engine, access, render))
    app.include_router(live.router(pulse, access))
    app.include_router(acting.router(engine, delivery, access))
    app.include_router(pages.router(engine, delivery, access, render))
    static = Path(__file__).parent / "static"
    app.mount("/static", StaticFiles(directory=static), name="static")
    return app
