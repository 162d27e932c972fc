from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from model.backend import About, Loaded, Logits
from model.classifier import MAX_CHARACTERS, WEIGHTS, Classifier, ModelError, Score
from model.excerpts import MAX_EXCERPTS
from model.labels import SENTIMENTS, TOPICS

TEXTS = [
    "Shares plunge after profit warning",
    "Company raises guidance after record quarter",
    "The annual general meeting takes place on 12 May",
    "$TSLA to the moon \U0001f680",
    "Fed holds rates, Powell says",
    "",
    "https://t.co/abc",
    "word " * 5_000,
    "null\x00byte \ud83d\udcc9".encode("utf-16", "surrogatepass").decode("utf-16"),
]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def test_what_ships_tells_good_news_from_bad(classifier: Classifier) -> None:
    bad, good, plain, *_ = classifier.classify(TEXTS)
    assert (bad.sentiment, good.sentiment, plain.sentiment) == ("negative", "positive", "neutral")
    assert bad.probabilities[0] > 0.8
    assert classifier.classify(["Fed holds rates, Powell says"])[0].topic == "Fed | Central Banks"


def test_every_text_gets_a_score_of_the_known_labels(classifier: Classifier) -> None:
    scores = classifier.classify(TEXTS)
    assert len(scores) == len(TEXTS)
    for score in scores:
        assert score.sentiment == SENTIMENTS[score.probabilities.index(max(score.probabilities))]
        assert sum(score.probabilities) == pytest.approx(1)
        assert score.topic in TOPICS
        assert 0.05 <= score.topic_probability <= 1


def test_a_score_does_not_depend_on_the_other_texts(classifier: Classifier) -> None:
    together = classifier.classify(TEXTS)
    assert [classifier.classify([text])[0] for text in TEXTS] == together
    assert classifier.classify(TEXTS[::-1]) == together[::-1]


def test_no_texts_no_scores(classifier: Classifier) -> None:
    assert classifier.classify([]) == []


def test_a_language_it_was_not_made_for_is_marked(classifier: Classifier) -> None:
    texts = ["Shares fall", "股价大跌，投资者恐慌", "Акции падают", "12 %", ""]
    english, chinese, russian, *wordless = classifier.classify(texts)
    assert (english.lang, english.known_language) == ("en", True)
    assert (chinese.lang, chinese.known_language) == ("zh", "zh" in classifier.about.languages)
    assert (russian.lang, russian.known_language) == ("und", False)
    assert {(score.lang, score.known_language) for score in wordless} == {("und", True)}


def test_the_folder_says_what_it_measured() -> None:
    about = json.loads((WEIGHTS / "model.json").read_text())
    assert about["parity"]["sentiment_agreement"] >= 0.99
    assert about["topics"] == list(TOPICS)
    assert about["sentiments"] == list(SENTIMENTS)


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = copied(tmp_path)
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ModelError, match=rf"{name} is not the file that model.json names"):
        Classifier.load(folder)


@pytest.mark.parametrize("name", ["model.json", "model.onnx", "tokenizer.json"])
def test_a_missing_file_is_said(tmp_path: Path, name: str) -> None:
    folder = copied(tmp_path)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=r"no model in .*: No such file"):
        Classifier.load(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": 1}'])
def test_a_folder_that_describes_no_model_is_said(tmp_path: Path, content: str) -> None:
    folder = copied(tmp_path)
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelError, match="does not describe a model"):
        Classifier.load(folder)


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model in"):
        Classifier.load(tmp_path / "none")


def test_without_torch_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("model.foreign", "model.torch_backend"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match=r"needs torch: pip install barograph\[train\]"):
        Classifier.load(tmp_path, backend="torch")


def test_what_a_backend_cannot_do_is_said() -> None:
    with pytest.raises(ModelError, match="runs on the CPU, not on cuda"):
        Classifier.load(device="cuda")


# Temperature


def described(tmp_path: Path, **changes: Any) -> Path:
    folder = copied(tmp_path)
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**about, **changes}))
    return folder


def test_logits_are_divided_by_the_temperature(classifier: Classifier, tmp_path: Path) -> None:
    about = classifier.about.temperature
    warmer = {"sentiment": 2.0 * about[0], "topic": 4.0 * about[1]}
    folder = described(tmp_path, temperature=warmer)
    [cold], [warm] = (c.classify(TEXTS[:1]) for c in (classifier, Classifier.load(folder)))
    powers = np.array(cold.probabilities) ** 0.5
    assert warm.probabilities == pytest.approx(tuple(powers / powers.sum()))
    assert warm.topic == cold.topic
    assert warm.topic_probability < cold.topic_probability


@pytest.mark.parametrize(
    "changes",
    [{"temperature": {"sentiment": 0}}, {"temperature": {"topic": math.nan}}, {"max_tokens": 2}],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="temperatures must be above 0, and max_tokens 16 or more"):
        Classifier.load(described(tmp_path, **changes))


@pytest.mark.parametrize("changes", [{"temperature": 1.5}, {"max_tokens": None}, {"topics": None}])
def test_other_types_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="does not describe a model"):
        Classifier.load(described(tmp_path, **changes))


# Targets


def test_what_ships_tells_whom_a_text_is_good_or_bad_for(classifier: Classifier) -> None:
    assert classifier.takes_targets
    text = "Corvane Energy surges to a record while Dunmere Foods collapses after fraud charges"
    span = (text.index("Dunmere"), text.index(" collapses"))
    winner, loser, spanned = classifier.classify(
        [text] * 3, ["Corvane Energy", "Dunmere Foods", span]
    )
    assert (winner.sentiment, loser.sentiment) == ("positive", "negative")
    assert spanned == loser
    assert winner.towards_target


def test_a_model_without_pairs_says_that_it_ignored_the_target(tmp_path: Path) -> None:
    classifier = Classifier.load(described(tmp_path, pairs=False))
    assert not classifier.takes_targets
    text = TEXTS[0]
    assert classifier.classify([text, text], ["Acme", (0, 6)]) == classifier.classify([text, text])
    assert not classifier.classify([text], ["Acme"])[0].towards_target


def test_targets_that_are_none_are_refused(classifier: Classifier) -> None:
    with pytest.raises(
        ValueError, match=r"target \(4, 4\) is empty or not within a text of 34 char"
    ):
        classifier.classify(TEXTS[:1], [(4, 4)])
    with pytest.raises(ValueError, match="1 targets for 2 texts"):
        classifier.classify(TEXTS[:2], ["Acme"])


def test_what_ships_takes_pairs_when_told_to(tmp_path: Path, classifier: Classifier) -> None:
    made = Classifier.load(described(tmp_path, pairs=True))
    bare, named, marked = made.classify([TEXTS[0]] * 3, [None, "profit", (20, 26)])
    assert TEXTS[0][20:26] == "profit"
    assert [bare.towards_target, named.towards_target, marked.towards_target] == [False, True, True]
    assert bare == classifier.classify(TEXTS[:1])[0]
    assert named == marked != replace(bare, towards_target=True)


# Long texts, by a model that is easily seen through: it counts the words "good" and "bad".

WORDS = ("<s>", "</s>", "word", "good", "bad", "acme", "bolt")
GOOD, BAD, ACME = WORDS.index("good"), WORDS.index("bad"), WORDS.index("acme")


class Counting:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def logits(self, sequences: Sequence[Sequence[int]]) -> tuple[Logits, Logits]:
        self.seen = [list(ids) for ids in sequences]
        rows = [[ids.count(BAD), 0, ids.count(GOOD)] for ids in self.seen]
        return np.array(rows, np.float32), np.zeros((len(rows), 20), np.float32)


def counting(pairs: bool = True, topics: Sequence[str] = TOPICS) -> tuple[Classifier, Counting]:
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="word"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 1)],
    )
    about = About("counting", "1", SENTIMENTS, tuple(topics), ("en",), 18, (1.0, 1.0), pairs)
    backend = Counting()
    return Classifier(Loaded(about, tokenizer, backend)), backend


def softmax(*logits: float) -> list[float]:
    powers = np.exp(logits)
    return list(powers / powers.sum())


def test_a_long_text_is_the_mean_of_its_excerpts_by_their_own_tokens() -> None:
    classifier, backend = counting()
    short, long = classifier.classify(["good", "good good " + "word " * 17 + "bad"])
    assert [len(ids) for ids in backend.seen] == [3, 18, 18]
    assert short.probabilities == pytest.approx(softmax(0, 0, 1))
    expected = 0.8 * np.array(softmax(0, 0, 2)) + 0.2 * np.array(softmax(1, 0, 0))
    assert long.probabilities == pytest.approx(tuple(expected))


def test_the_end_of_a_very_long_text_is_read() -> None:
    classifier, backend = counting()
    classifier.classify([("word " * 5_000)[: MAX_CHARACTERS - 4] + " bad"])
    assert len(backend.seen) == MAX_EXCERPTS
    assert [ids.count(BAD) for ids in backend.seen] == [0] * (MAX_EXCERPTS - 1) + [1]


def test_a_pair_is_text_and_name() -> None:
    classifier, backend = counting()
    classifier.classify(["good acme", "good acme"], ["acme", (5, 9)])
    assert backend.seen == [[0, GOOD, ACME, 1, 1, ACME, 1]] * 2


def test_of_a_long_text_what_stands_around_the_target_is_read() -> None:
    classifier, backend = counting()
    text = "good bolt " + "word " * 40 + "acme bad " + "word " * 40 + "acme good"
    last = text.rindex("acme")
    scores = classifier.classify([text] * 4, ["bolt", "acme", (last, last + 4), "nobody"])
    assert [score.sentiment for score in scores] == ["positive", "negative", "positive", "positive"]
    assert [len(ids) for ids in backend.seen] == [18] * 4
    assert backend.seen[3][:3] == [0, GOOD, WORDS.index("bolt")]


def test_without_topics_there_is_a_topic_of_no_probability() -> None:
    class NoTopics(Counting):
        def logits(self, sequences: Sequence[Sequence[int]]) -> tuple[Logits, Logits]:
            sentiment, topic = super().logits(sequences)
            return sentiment, topic[:, :0]

    classifier, _ = counting(topics=())
    classifier._backend = NoTopics()
    [score] = classifier.classify(["good"])
    assert score == Score(
        "positive", score.probabilities, "General News | Opinion", 0.0, "en", True, False
    )
