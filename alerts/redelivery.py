"""Dead deliveries, sent again because a person wants it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Select

from alerts.settings import WebhookTarget
from alerts.store import hold_audit, put_audit
from alerts.tables import deliveries, disabled_targets, standing


@dataclass(frozen=True, slots=True)
class Retry:
    """What became of the wish to send a dead delivery again; ``refused`` says why it is not."""

    delivery: str
    refused: str | None = None


def retry(
    connection: Connection,
    targets: Iterable[WebhookTarget],
    ids: Iterable[str],
    now: datetime,
    by: str,
    *,
    enable: bool = False,
    force: bool = False,
) -> list[Retry]:
    """Put dead deliveries back in the outbox, where their attempts are counted anew.

    Args:
        connection: in a transaction.
        targets: those of the settings.
        ids: of deliveries.
        now: when they are due: at once.
        by: who wants it, for the audit.
        enable: also send again to a target that has answered 410.
        force: also tell what the receiver has since been told a later state of.
    """
    hold_audit(connection)
    known = {target.name: target for target in targets}
    return [
        Retry(each, _retry(connection, known, each, now, by, enable=enable, force=force))
        for each in dict.fromkeys(ids)
    ]


def _retry(
    connection: Connection,
    targets: dict[str, WebhookTarget],
    delivery: str,
    now: datetime,
    by: str,
    *,
    enable: bool,
    force: bool,
) -> str | None:
    """Why not; None when it is done."""
    row = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery)).first()
    if row is None:
        return "there is no such delivery"
    if row.status != "dead":
        return f"it is {row.status}, not dead"
    target = targets.get(row.target)
    if target is None:
        return f"the settings name no target {row.target}"
    if not force and connection.scalar(_told_since(row)) is not None:
        return f"{row.target} has been told a later state of the alert"
    here = sa.and_(disabled_targets.c.name == target.name, disabled_targets.c.url == target.url)
    if connection.scalar(sa.select(disabled_targets.c.at).where(here)) is not None:
        if not enable:
            return f"{row.target} is disabled: it has answered 410"
        connection.execute(sa.delete(disabled_targets).where(here))
        put_audit(connection, now, "target.enabled", row.target, {"by": by})
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery)
        .values(status="pending", attempts=0, next_attempt_at=now)
    )
    detail = {"delivery": delivery, "target": row.target, "attempts": row.attempts, "by": by}
    put_audit(connection, now, "delivery.retried", row.alert_id, detail)
    return None


def _told_since(row: Row[Any]) -> Select[tuple[str]]:
    """Deliveries of what came later in the same alert to the same target."""
    place, own = standing(deliveries.c.state), standing(sa.literal(row.state))
    later = sa.or_(place > own, sa.and_(place == own, deliveries.c.occurred_at > row.occurred_at))
    return (
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.alert_id == row.alert_id,
            deliveries.c.target == row.target,
            deliveries.c.status == "delivered",
            later,
        )
        .limit(1)
    )
