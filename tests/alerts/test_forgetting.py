"""Forgetting in SQL: nothing is left in any table, and nothing comes back."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from alerts.acts import Actor
from alerts.audit import entries
from alerts.chain import check
from alerts.corrections import DocumentForgotten, correct, list_corrections
from alerts.erasure import author_digest, document_digest
from alerts.forgetting import Subject, find, forget, without_forgotten
from alerts.outbox import enqueue, transition_message
from alerts.records import Alert
from alerts.schema import upgrade
from alerts.store import audit_rows, find_alert, list_deliveries, open_engine, put_alert
from alerts.tables import forgotten, metadata, pushes
from tests.alerts.examples import NOON, alert, evidence, resolved, target, worse

SECRET_WORDS = "Mrs Quillfeather was seen at the bank"
STORY = evidence(
    7,
    id="post-quillfeather",
    text=SECRET_WORDS,
    url="https://forum.example/quillfeather",
    author="00aa11bb22cc33dd",
)
OTHER = evidence(8, author="ffffffffffffffff")
DOCUMENT = Subject("document", (STORY.id,))
AUTHOR = Subject("author", (str(STORY.author),))
ANA = Actor("ana")


def everything(engine: Engine) -> str:
    """All values of all columns of all tables, as text."""
    cells = []
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                cells += [f"{table.name}: {value!r}" for value in row]
    return "\n".join(cells)


def traces(engine: Engine) -> list[str]:
    return [line for line in everything(engine).splitlines() if "quillfeather" in line.lower()]


def store(engine: Engine, *transitions: Alert) -> None:
    """Store and tell as the recorder does in direct mode."""
    with engine.begin() as connection:
        for given in transitions:
            left = without_forgotten(connection, given)
            if put_alert(connection, left):
                message = transition_message(left, "http://desk")
                enqueue(connection, [target()], message, NOON)


def fill(engine: Engine) -> None:
    """The document in every table that can hold any of it."""
    shown = (STORY, OTHER)
    store(engine, alert(evidence=shown), worse(evidence=shown), resolved(evidence=shown))
    store(engine, alert(id="untouched", evidence=(OTHER,)))
    for story in (STORY, OTHER):
        correct(
            engine,
            ANA,
            NOON,
            document_id=story.id,
            text=story.text,
            topic="class:macro",
            old="negative",
            new="neutral",
            comment=f"about {story.text}",
        )
    with engine.begin() as connection:
        connection.execute(
            sa.insert(pushes).values(
                who="feed", key="k", digest="d", at=NOON, ids=["one", STORY.id, "two"]
            )
        )


@pytest.mark.parametrize("subject", [DOCUMENT, AUTHOR], ids=["document", "author"])
def test_no_column_of_any_table_holds_it_any_more(any_engine: Engine, subject: Subject) -> None:
    fill(any_engine)
    assert {line.partition(":")[0] for line in traces(any_engine)} == {
        "alerts",
        "alert_transitions",
        "deliveries",
        "corrections",
        "pushes",
    }
    found = forget(any_engine, subject, "command line", NOON)
    assert found.rows == {
        "alerts": 1,
        "alert_transitions": 3,
        "deliveries": 3,
        "corrections": 1,
        "pushes": 1,
    }
    assert found.waiting == 3
    assert traces(any_engine) == []
    assert str(STORY.author) not in everything(any_engine)
    history = find_alert(any_engine, alert().id)
    assert history is not None
    assert [story.id for story in history.alert.evidence] == [OTHER.id]
    assert history.alert == resolved(evidence=(OTHER,))
    assert [c.document_id for c in list_corrections(any_engine)] == [OTHER.id]
    with any_engine.connect() as connection:
        assert connection.scalar(sa.select(pushes.c.ids)) == ["one", "forgotten", "two"]


def test_the_chain_of_the_audit_holds_and_tells_of_it_without_words(any_engine: Engine) -> None:
    fill(any_engine)
    before = check(entries(any_engine))
    forget(any_engine, DOCUMENT, "command line", NOON)
    after = check(entries(any_engine), expect=before.head)
    assert after.fault is None
    assert after.rows == before.rows + 1
    digest = document_digest(STORY.id)
    row = audit_rows(any_engine, digest)[-1]
    assert (row.kind, row.detail["what"], row.detail["by"]) == (
        "forgotten",
        "document",
        "command line",
    )
    assert row.detail["rows"]["alerts"] == 1


def test_looking_changes_nothing(any_engine: Engine) -> None:
    fill(any_engine)
    before = everything(any_engine)
    with any_engine.connect() as connection:
        found = find(connection, AUTHOR)
    assert found.rows["deliveries"] == 3
    assert found.since is None
    assert everything(any_engine) == before


def test_again_there_is_nothing_to_do(any_engine: Engine) -> None:
    fill(any_engine)
    forget(any_engine, DOCUMENT, "command line", NOON)
    before = everything(any_engine)
    again = forget(any_engine, DOCUMENT, "command line", NOON + timedelta(hours=1))
    assert again.empty
    assert again.since == NOON
    assert everything(any_engine) == before


def test_who_was_told_is_said(any_engine: Engine) -> None:
    fill(any_engine)
    first = list_deliveries(any_engine)[0]
    with any_engine.begin() as connection:
        table = metadata.tables["deliveries"]
        connection.execute(
            sa.update(table)
            .where(table.c.id == first.id)
            .values(status="delivered", attempts=1, delivered_at=NOON)
        )
    found = forget(any_engine, DOCUMENT, "command line", NOON)
    assert (found.waiting, found.told) == (2, {"risk"})


@pytest.mark.parametrize("subject", [DOCUMENT, AUTHOR], ids=["document", "author"])
def test_what_is_forgotten_does_not_come_back(any_engine: Engine, subject: Subject) -> None:
    """A recorder that begins anew, a late transition, a correction from a page left open."""
    fill(any_engine)
    forget(any_engine, subject, "command line", NOON)
    shown = (STORY, OTHER)
    store(any_engine, alert(evidence=shown), worse(evidence=shown), resolved(evidence=shown))
    store(any_engine, alert(id="later", evidence=shown), resolved(id="later", evidence=shown))
    assert traces(any_engine) == []
    with pytest.raises(DocumentForgotten):
        correct(
            any_engine,
            ANA,
            NOON,
            document_id=STORY.id,
            text=STORY.text,
            topic="class:macro",
            old="negative",
            new="neutral",
        )
    assert traces(any_engine) == []


def test_what_nobody_has_seen_may_be_forgotten_before_it_comes(any_engine: Engine) -> None:
    found = forget(any_engine, AUTHOR, "command line", NOON)
    assert found.empty
    with any_engine.connect() as connection:
        digests = set(connection.scalars(sa.select(forgotten.c.digest)))
    assert digests == {author_digest(str(STORY.author))}
    store(any_engine, alert(evidence=(STORY, OTHER)))
    assert traces(any_engine) == []


def test_an_alert_that_is_being_stored_is_waited_for(any_engine: Engine) -> None:
    """Whichever of the two is first, nothing is left."""
    done, begun = threading.Event(), threading.Event()

    def forgetting() -> None:
        begun.wait(20)
        forget(any_engine, DOCUMENT, "command line", NOON)
        done.set()

    thread = threading.Thread(target=forgetting)
    thread.start()
    with any_engine.begin() as connection:
        left = without_forgotten(connection, alert(evidence=(STORY, OTHER)))
        begun.set()
        put_alert(connection, left)
    thread.join(60)
    assert done.is_set()
    assert traces(any_engine) == []


def test_the_file_of_a_database_holds_it_no_more(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/barograph.db")
    upgrade(engine)
    fill(engine)

    def held() -> list[str]:
        return [p.name for p in tmp_path.iterdir() if b"uillfeather" in p.read_bytes()]

    assert held()
    forget(engine, AUTHOR, "command line", NOON)
    assert held() == []
    engine.dispose()


def test_the_api_says_that_a_document_was_forgotten(engine: Engine) -> None:
    from starlette.testclient import TestClient

    from alerts.desk import create_app
    from alerts.settings import DeliverySettings

    forget(engine, DOCUMENT, "command line", NOON)
    app = create_app(engine, DeliverySettings(), lambda: True, local=True)
    body: dict[str, Any] = {
        "document_id": STORY.id,
        "text": STORY.text,
        "topic": "class:macro",
        "old": "negative",
        "new": "neutral",
        "by": "ana",
    }
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        answer = client.post("/api/v1/corrections", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (410, "that document was forgotten")


def test_an_error_repeats_no_text(any_engine: Engine) -> None:
    """Errors are logged."""
    given = alert(id="x", evidence=(STORY,))
    row = {"id": None, "payload": given.model_dump_json()}
    with pytest.raises(sa.exc.SQLAlchemyError) as caught, any_engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO alerts (id, payload) VALUES (:id, :payload)"), row)
    assert "VALUES" in str(caught.value)
    assert "[parameters: " not in str(caught.value)
    with pytest.raises(ValueError, match="Field required") as refused:
        Alert.model_validate({"id": SECRET_WORDS, "evidence": [SECRET_WORDS]})
    assert "Quillfeather" not in str(refused.value)
