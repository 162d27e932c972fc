from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from alerts.erasure import (
    author_digest,
    comment_digest,
    document_digest,
    without,
    without_text,
)
from alerts.webhooks import alert_body
from tests.alerts.examples import alert, evidence

STORY = evidence(1)


@given(st.text(), st.text())
def test_a_digest_is_of_one_thing_alone(one, other):
    assert len(document_digest(one)) == 64
    assert document_digest(one) != author_digest(one)
    if one != other:
        assert document_digest(one) != document_digest(other)


def test_no_comment_has_no_digest():
    assert comment_digest("") == ""
    assert len(comment_digest("wrong label")) == 64


def test_an_alert_loses_what_is_forgotten_and_nothing_else():
    given_one = alert(evidence=(evidence(1), evidence(2, author="a1b2")))
    assert without(given_one, {document_digest("other"), author_digest("other")}) is given_one
    left = without(given_one, {document_digest("story-1")})
    assert left == given_one.model_copy(update={"evidence": given_one.evidence[1:]})
    assert without(given_one, {author_digest("a1b2")}).evidence == given_one.evidence[:1]


def test_a_text_keeps_keys_that_this_version_does_not_know():
    known = {"id": "story-1"}
    text = json.dumps({"new": [1], "evidence": [known, {"id": "猫"}], "state": "firing"})
    left = without_text(text, {document_digest("story-1")})
    assert left is not None
    assert json.loads(left) == {"new": [1], "evidence": [{"id": "猫"}], "state": "firing"}
    assert without_text(left, {document_digest("story-1")}) is None


def test_a_body_of_a_webhook_is_an_alert_with_something_around_it():
    body = alert_body(alert(), "http://desk")
    left = without_text(body, {document_digest("story-2")})
    assert left is not None
    told, before = json.loads(left), json.loads(body)
    assert [story["id"] for story in told["data"]["evidence"]] == ["story-1"]
    assert told["data"] | {"evidence": 0} == before["data"] | {"evidence": 0}
    assert told["type"] == before["type"]


def test_what_is_no_alert_is_left_alone():
    for text in ("", "{", "[]", "7", '{"evidence": 7}', '{"data": 1}', '{"evidence": [1]}'):
        assert without_text(text, {document_digest("")}) is None


def test_no_receiver_learns_by_whom_a_story_is():
    body = alert_body(alert(evidence=(evidence(1, author="a1b2"),)), "http://desk")
    assert "a1b2" not in body
    assert "author" not in body
