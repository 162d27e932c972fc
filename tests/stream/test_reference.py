from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from alerts.records import Alert, Window
from stream.records import Document, ScoredDocument
from stream.reference import Setting, markdown, settings
from stream.scorer import parse
from stream.slices import Forget, Progress, Slice, Tick, decode, encode

DOCS = Path(__file__).parents[2] / "docs"

EXAMPLES = re.findall(
    r"<!-- example: (\w+) -->\n+```json\n(.*?)```", (DOCS / "records.md").read_text(), re.DOTALL
)


def test_the_page_of_settings_is_up_to_date() -> None:
    assert (DOCS / "configuration.md").read_text() == markdown(), (
        "run: python -m stream.reference > docs/configuration.md"
    )


@pytest.mark.parametrize("setting", list(settings()), ids=lambda s: f"{s.section}.{s.name}")
def test_every_setting_says_what_it_means(setting: Setting) -> None:
    assert setting.meaning
    assert "|" not in setting.meaning


def test_the_page_of_records_has_an_example_of_each() -> None:
    assert {name for name, _ in EXAMPLES} == {
        "Document",
        "ScoredDocument",
        "Window",
        "Alert",
        "Slice",
        "Progress",
        "Tick",
        "Forget",
    }


@pytest.mark.parametrize("kind", [ScoredDocument, Window, Alert])
def test_an_example_is_a_whole_record(kind: type[BaseModel]) -> None:
    example = dict(EXAMPLES)[kind.__name__]
    record = kind.model_validate_json(example)
    assert record.model_fields_set == set(kind.model_fields)


def test_the_example_of_a_document_has_all_its_keys() -> None:
    document = parse(dict(EXAMPLES)["Document"].encode())
    assert document.model_fields_set == set(Document.model_fields)


@pytest.mark.parametrize("kind", [Slice, Progress, Tick, Forget])
def test_an_example_of_the_slices_topic_is_read_and_written_the_same(kind: type) -> None:
    example = dict(EXAMPLES)[kind.__name__]
    message = decode(example.encode())
    assert isinstance(message, kind)
    assert decode(encode(message)) == message
