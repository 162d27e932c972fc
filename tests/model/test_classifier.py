from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from model.classifier import WEIGHTS, Classifier, ModelError, language
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
    english, chinese = classifier.classify(["Shares fall", "股价大跌，投资者恐慌"])
    assert (english.lang, english.known_language) == ("en", True)
    assert (chinese.lang, chinese.known_language) == ("zh", "zh" in classifier._languages)


@pytest.mark.parametrize(
    ("text", "lang"),
    [("Shares fall", "en"), ("股价大跌", "zh"), ("买入 $AAPL", "zh"), ("", "en"), ("123 %", "en")],
)
def test_the_language_goes_by_the_script(text: str, lang: str) -> None:
    assert language(text) == lang


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
