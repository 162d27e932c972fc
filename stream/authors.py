"""Who wrote a text, without saying who: a keyed hash stands for an author's handle.

A feed hashes before it publishes, so that no handle is stored on Kafka; documents that others put
there carry handles, which the scorer hashes. The mark tells the two apart, and the hash of one
handle is the same on both ways.
"""

from __future__ import annotations

import hashlib
import hmac
import re

_MARKED = re.compile(r"hmac:[0-9a-f]{16}")


def digest(handle: str, key: bytes) -> str:
    """What stands for a handle: 16 hexadecimal digits of its HMAC-SHA-256."""
    return hmac.new(key, handle.encode(), hashlib.sha256).hexdigest()[:16]


def marked(author: str, key: bytes) -> str:
    """The hash of a handle with the mark that keeps it from being hashed again."""
    return author if _MARKED.fullmatch(author) else f"hmac:{digest(author, key)}"


def hashed(author: str, key: bytes) -> str:
    """The hash of a document's author, be it a handle or hashed already."""
    return author[5:] if _MARKED.fullmatch(author) else digest(author, key)
