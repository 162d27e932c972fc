"""The pages on data protection and on limits say what the code does, and what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from alerts.lifecycle import MAX_EVIDENCE
from alerts.pruning import KEEP_PUSHES
from alerts.settings import TableRetention
from alerts.tables import metadata
from alerts.tokens import SESSION
from stream.authors import digest
from stream.panes import MAX_EVIDENCE as OF_A_PANE
from stream.settings import TopicRetention, Topics
from stream.topics import DAY_MS, TRANSITIONS_MS
from stream.windows import HOUR, RETENTION
from tests.deploy.commands import check_command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "data-protection.md").read_text()
LIMITS = (DOCS / "limits.md").read_text()


def row_of(cell: str) -> str:
    """The row of a table on the page whose first cell names this."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| ") and cell in line[:60]]
    return row


@pytest.mark.parametrize("name", list(TopicRetention.model_fields))
def test_every_topic_is_there_with_how_long_it_is_kept(name: str) -> None:
    kept = TopicRetention.model_fields[name].default
    topic = Topics.model_fields[name].default
    assert f"`retention.topics.{name}`, {kept}" in row_of(f"`{topic}`")


@pytest.mark.parametrize("name", list(metadata.tables))
def test_every_table_is_there(name: str) -> None:
    assert row_of(f"`{name}`")


@pytest.mark.parametrize("name", list(TableRetention.model_fields))
def test_every_time_of_a_table_is_there(name: str) -> None:
    kept = TableRetention.model_fields[name].default
    assert f"`retention.tables.{name}`, {kept}" in PAGE


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"{RETENTION // HOUR} hours of the stream's time" in row_of("panes-changelog")
    assert f"{int(SESSION.total_seconds()) // 3600} hours" in row_of("`sessions`")
    assert f"{int(KEEP_PUSHES.total_seconds()) // 3600} hours" in row_of("`pushes`")
    assert f"{TRANSITIONS_MS // DAY_MS} days" in row_of("`barograph.alerts`")
    assert f"up to {MAX_EVIDENCE} stories" in row_of("`barograph.alerts`")
    assert OF_A_PANE == 3
    assert "the three most negative documents" in row_of("panes-changelog")
    assert f"{4 * len(digest('ana', b'key'))} bits" in PAGE


@pytest.mark.parametrize("page", [PAGE, LIMITS], ids=["data-protection", "limits"])
def test_every_command_exists(page: str) -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    for line in blocks.splitlines():
        check_command(line.partition("#")[0].split()[1:])
    for words in re.findall(r"`barograph ((?:[a-z-]+ ?)+)`", page):
        needed = ["x"] if words in ("evaluate", "feed run", "send") else []
        assert check_command([*words.split(), *needed]) == words


@pytest.mark.parametrize("name", ["data-protection.md", "limits.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (DOCS / name).read_text()):
        path, _, anchor = target.partition("#")
        page = (DOCS / path if path else DOCS / name).resolve()
        assert page.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in slugs, target
    assert f"(docs/{name})" in (ROOT / "README.md").read_text()


def figures() -> list[str]:
    """The figures of the page, from what was measured."""
    found: dict[str, Any] = json.loads((ROOT / "benchmarks/results/model.json").read_text())
    sets = found["sets"]
    tweets, headlines, chinese = (
        sets[name]
        for name in (
            "twitter_financial_sentiment/valid_clean",
            "sentfin_dev/headlines",
            "fincuge_finfe/train_dedup",
        )
    )

    def changed(change: str, *of: Any) -> str:
        """Percent of the labels that a change of the text changes."""
        shares = (1 - each["robustness"][change]["sentiment"]["unchanged"] for each in of)
        return ", ".join(f"{100 * share:.0f} %" for share in shares)

    def negative(of: Any) -> str:
        figure = of["sentiment"]["classes"]["negative"]
        return f"{figure['recall']:.2f}, {figure['precision']:.2f}"

    names = headlines["names"]
    return [
        f"version {found['model']['version']}",
        f"accuracy {tweets['sentiment']['accuracy']:.3f}",
        f"{headlines['sentiment']['accuracy']:.3f}",
        f"{chinese['sentiment']['accuracy']:.3f}",
        f"{headlines['target']['by_fate']['differ']['accuracy']:.3f}",
        negative(tweets),
        negative(chinese),
        changed("upper_case", tweets, headlines),
        changed("lower_case", tweets, headlines),
        changed("typos", tweets, headlines, chinese),
        changed("emoji", tweets, headlines, chinese),
        f"{100 * names['changed']:.1f} % of {names['texts']} headlines",
        f"{100 * names['target_changed']:.1f} % towards",
        f"calibration error {chinese['sentiment']['ece']:.3f}",
        f"against {headlines['sentiment']['ece']:.3f} on headlines",
    ]


@pytest.mark.parametrize("figure", figures())
def test_the_page_on_limits_says_what_was_measured(figure: str) -> None:
    assert figure in " ".join(LIMITS.split())
