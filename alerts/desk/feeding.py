"""The push feed: documents posted to the desk go onto the stream, each request at most once."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from alerts.desk.access import Access, Visitor
from alerts.desk.forms import body_within
from alerts.pruning import KEEP_PUSHES
from alerts.store import insert
from alerts.tables import pushes

MAX_BYTES = 1_000_000
MAX_ROWS = 1000

REQUESTS_PER_MINUTE = 120
"""Of one token; a burst may use up a minute's share at once."""

ABANDONED = timedelta(minutes=2)
"""A request that has not ended after this is taken for dead, and its key may be used again."""


class RowsRefused(Exception):
    """Some rows are no documents: a reason by number of the row, counted from 0."""

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__(f"{len(reasons)} rows are no documents")
        self.reasons = reasons


class FeedDown(Exception):
    """The stream takes no documents now; the message says why."""


Publish = Callable[[Sequence[bytes]], list[str]]
"""Puts rows, JSON objects, on the stream, all or none of them, and returns the documents' ids.

Raises:
    RowsRefused: nothing was sent, as some rows are no documents.
    FeedDown: it cannot be reached.
"""


class Accepted(BaseModel):
    """The ids of the documents, in the order of the rows."""

    ids: list[str]


class RefusedRow(BaseModel):
    """Why a row was refused; ``row`` counts from 0."""

    row: int
    reason: str


class Refused(BaseModel):
    """Nothing of the request was taken; ``rows`` has the first 100 that are wrong, if any is."""

    detail: str | list[dict[str, Any]]
    rows: list[RefusedRow] = []


@dataclass
class _Bucket:
    left: float
    at: float


class Rate:
    """Requests by token; a bucket that fills again steadily."""

    def __init__(
        self, per_minute: int = REQUESTS_PER_MINUTE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def wait(self, who: str) -> float:
        """Take one; 0, or the seconds until there is one."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(who, _Bucket(self._most, now))
            bucket.left = min(self._most, bucket.left + (now - bucket.at) * self._most / 60)
            bucket.at = now
            if bucket.left < 1:
                return (1 - bucket.left) * 60 / self._most
            bucket.left -= 1
            return 0.0


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a body: a JSON array, or JSON lines (of which a lone object is one).

    Raises:
        HTTPException: 413 too many rows; 422 an array that is not JSON, or no row at all.
    """
    text = body.strip()
    if text.startswith(b"["):
        try:
            found = json.loads(text)
            rows = [json.dumps(row).encode() for row in found]
        except (ValueError, RecursionError) as error:
            raise HTTPException(422, f"not JSON: {type(error).__name__}") from None
    else:
        rows = [line for line in text.splitlines() if line.strip()]
    if not rows:
        raise HTTPException(422, "no documents: send a JSON array, or an object a line")
    if len(rows) > MAX_ROWS:
        raise HTTPException(413, f"{len(rows)} rows, at most {MAX_ROWS} are taken at once")
    return rows


class Once:
    """Remembers by key what was answered, so that a request sent again does nothing again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, who: str, key: str, body: bytes, now: datetime) -> list[str] | None:
        """Claim the key; the ids that were answered, when all of it was done before.

        Raises:
            HTTPException: 409 the first request is still under way; 422 the body was another one.
        """
        digest = hashlib.sha256(body).hexdigest()
        mine = sa.and_(pushes.c.who == who, pushes.c.key == key)
        unfinished = sa.and_(pushes.c.ids.is_(None), pushes.c.at < now - ABANDONED)
        with self._engine.begin() as connection:
            connection.execute(
                sa.delete(pushes).where(sa.or_(pushes.c.at < now - KEEP_PUSHES, unfinished))
            )
            claimed = connection.execute(
                insert(connection, pushes)
                .values(who=who, key=key, digest=digest, at=now)
                .on_conflict_do_nothing()
                .returning(pushes.c.key)
            ).first()
            if claimed is not None:
                return None
            known = connection.execute(sa.select(pushes).where(mine)).one()
        if known.digest != digest:
            raise HTTPException(422, "this Idempotency-Key was used with another body")
        if known.ids is None:
            raise HTTPException(409, "the first request with this Idempotency-Key is under way")
        return list(known.ids)

    def finish(self, who: str, key: str, ids: list[str] | None) -> None:
        """Note the answer; None frees the key, as nothing was done."""
        mine = sa.and_(pushes.c.who == who, pushes.c.key == key)
        change = sa.delete(pushes) if ids is None else sa.update(pushes).values(ids=ids)
        with self._engine.begin() as connection:
            connection.execute(change.where(mine))


def router(engine: Engine, access: Access, publish: Publish | None, rate: Rate) -> APIRouter:
    """The route of the push feed."""
    routes = APIRouter(prefix="/api/v1")
    once = Once(engine)
    feeder = access.api("ingest")

    def push(who: str, key: str | None, body: bytes) -> list[str]:
        if publish is None:
            raise HTTPException(503, "this desk is not connected to the stream")
        rows = rows_of(body)
        if key is None:
            return publish(rows)
        known = once.begin(who, key, body, datetime.now(UTC))
        if known is not None:
            return known
        ids: list[str] | None = None
        try:
            ids = publish(rows)
        finally:
            once.finish(who, key, ids)
        return ids

    document = {"type": "object", "required": ["text", "source"]}
    content = {
        "application/json": {"schema": {"type": "array", "items": document, "maxItems": MAX_ROWS}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    }

    @routes.post(
        "/documents",
        status_code=202,
        openapi_extra={"requestBody": {"required": True, "content": content}},
        responses={
            202: {"model": Accepted},
            401: {"description": "no bearer token, or one that is unknown or revoked"},
            403: {"description": "the token's role does not allow it"},
            409: {"description": "the first request with this key is under way"},
            413: {"description": "too many bytes or rows"},
            422: {"model": Refused},
            429: {"description": "too many requests of this token"},
            503: {"description": "the stream takes no documents now"},
        },
    )
    async def documents(
        request: Request,
        idempotency_key: Annotated[
            str | None, Header(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
        ] = None,
        visitor: Visitor = Depends(feeder),
    ) -> JSONResponse:
        """Put documents on the stream: a JSON array or JSON lines, all of them or none."""
        who = visitor.token or ""
        wait = rate.wait(who)
        if wait:
            raise HTTPException(
                429, "too many requests of this token", headers={"retry-after": f"{int(wait) + 1}"}
            )
        body = await body_within(request, MAX_BYTES)
        try:
            ids = await run_in_threadpool(push, who, idempotency_key, body)
        except RowsRefused as refused:
            answer = Refused(
                detail=str(refused),
                rows=[
                    RefusedRow(row=row, reason=reason)
                    for row, reason in sorted(refused.reasons.items())[:100]
                ],
            )
            return JSONResponse(answer.model_dump(), 422)
        except FeedDown as reason:
            raise HTTPException(503, str(reason), headers={"retry-after": "5"}) from None
        return JSONResponse(Accepted(ids=ids).model_dump(), 202)

    return routes
