"""Forms as browsers send them: small, url-encoded, read without another library."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import HTTPException, Request

MAX_BYTES = 64 * 1024
"""No form of the desk is longer."""


async def body_within(request: Request, limit: int) -> bytes:
    """The request's body.

    Raises:
        HTTPException: 413, it is longer than ``limit`` bytes.
    """
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > limit:
            raise HTTPException(413, f"at most {limit} bytes are taken")
    return bytes(found)


async def form(request: Request) -> dict[str, str]:
    """The fields of a url-encoded form; of a repeated one the last. Null bytes are dropped.

    Raises:
        HTTPException: 413 it is too long, 415 it is no such form, 422 it has too many fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a form is expected: application/x-www-form-urlencoded")
    body = await body_within(request, MAX_BYTES)
    try:
        pairs = parse_qsl(
            body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=50
        )
    except ValueError:
        raise HTTPException(422, "too many fields") from None
    return {name: value.replace("\x00", "").strip() for name, value in pairs}
