"""What is forgotten, by digests alone, and alerts without it. Pure.

A digest tells a document or an author again when it comes, and tells nobody who it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Mapping
from typing import Any

from alerts.records import Alert, Evidence


def document_digest(identity: str) -> str:
    """What stands for a document's id: SHA-256, 64 hexadecimal digits."""
    return _digest("document", identity)


def author_digest(pseudonym: str) -> str:
    """The same for an author, of the keyed hash that stands for the handle."""
    return _digest("author", pseudonym)


def comment_digest(comment: str) -> str:
    """What stands for a comment in the audit table, which can forget nothing; none for none."""
    return _digest("comment", comment) if comment else ""


def _digest(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}\x1f{value}".encode("utf-8", "surrogatepass")).hexdigest()


def digests_of(item: Mapping[str, Any]) -> list[str]:
    """The digests under which evidence, as JSON, may have been forgotten."""
    found = [document_digest(str(item.get("id", "")))]
    if author := item.get("author"):
        found.append(author_digest(str(author)))
    return found


def digests_of_record(item: Evidence) -> list[str]:
    """The same of evidence as a record."""
    return digests_of({"id": item.id, "author": item.author})


def kept(
    evidence: Iterable[Mapping[str, Any]], forgotten: Container[str]
) -> list[Mapping[str, Any]]:
    """The evidence that is not forgotten, in its order."""
    return [item for item in evidence if not any(d in forgotten for d in digests_of(item))]


def without(alert: Alert, forgotten: Container[str]) -> Alert:
    """The alert without forgotten evidence; the same object where there is none."""
    left = tuple(
        item for item in alert.evidence if not any(d in forgotten for d in digests_of_record(item))
    )
    return (
        alert if len(left) == len(alert.evidence) else alert.model_copy(update={"evidence": left})
    )


def evidence_in(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The evidence of an alert's JSON, or of a webhook's body around it."""
    data = payload.get("data", payload)
    found = data.get("evidence") if isinstance(data, Mapping) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def without_text(payload: str, forgotten: Container[str]) -> str | None:
    """The JSON text of an alert, or of a webhook's body, without forgotten evidence.

    What else it says stays, keys that this version does not know included.

    Returns:
        None where nothing changes, or it is no such text.
    """
    try:
        whole = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(whole, dict):
        return None
    found = evidence_in(whole)
    left = kept(found, forgotten)
    if len(left) == len(found):
        return None
    if isinstance(whole.get("data"), dict):
        whole["data"]["evidence"] = left
    else:
        whole["evidence"] = left
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
