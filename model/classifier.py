"""Texts in, scores out: the classifier as it serves, on onnxruntime or on torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding

from model import onnx_backend
from model.backend import Loaded, ModelError, is_export
from model.excerpts import FIRST, Run, runs
from model.labels import Sentiment
from model.language import count_letters, language
from model.targets import Target, mention, name_of
from model.text import clean

__all__ = ["WEIGHTS", "Classifier", "ModelError", "Score", "language"]

WEIGHTS = Path(__file__).parent / "weights"
"""The model that ships."""

MAX_CHARACTERS = 20_000
"""Characters read of a text: what a document may have."""

NO_TOPIC = "General News | Opinion"
"""The topic, with probability 0, from a model that tells none."""

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """What the model says of one text."""

    sentiment: Sentiment
    probabilities: tuple[float, float, float]
    """negative, neutral, positive; their sum is 1"""
    topic: str
    topic_probability: float
    """0 from a model that tells no topics: the topic then means nothing"""
    lang: str
    """``en``, ``zh`` or ``und``, by script"""
    known_language: bool
    """False: the model was not made for this language, and its score means little"""
    towards_target: bool = False
    """True: the sentiment is that towards the target; False: that of the text as a whole"""


@dataclass(frozen=True)
class _Input:
    """A text, cleaned, and whom it is asked about, if the model can tell."""

    text: str
    name: str | None
    given: str
    target: Target | None


class Classifier:
    """A loaded model.

    A text longer than the model reads at once is scored over excerpts, whose probabilities are
    averaged, each weighted by the tokens that no excerpt before it had.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.about = loaded.about
        self.name = loaded.about.name
        self.version = loaded.about.version
        self._backend = loaded.backend
        self._tokenizer = loaded.tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @classmethod
    def load(
        cls,
        folder: Path | str | None = None,
        threads: int = 2,
        backend: Literal["onnx", "torch"] = "onnx",
        device: str | None = None,
        label_map: Mapping[str, str] | None = None,
    ) -> Classifier:
        """The model of a folder; None is the one that ships.

        Args:
            folder: what ``barograph export`` wrote (``model.json``, ``model.onnx``,
                ``tokenizer.json``); for ``torch`` also what training wrote, or any Hugging Face
                sequence classifier whose labels are sentiments, also by its hub name.
            threads: texts scored at the same time by ``onnx``.
            backend: ``torch`` needs the extra ``train``.
            device: for ``torch``, such as ``cuda:1``; None is a GPU where there is one.
            label_map: what the labels of a foreign classifier mean, where they do not say so.

        Raises:
            ModelError: a file is missing or is not the one that ``model.json`` names, labels are
                unknown, or the backend or device is not to be had.
        """
        folder = folder or WEIGHTS
        if backend == "onnx":
            if device not in (None, "cpu"):
                raise ModelError(f"the onnx backend runs on the CPU, not on {device}: take torch")
            return cls(onnx_backend.load(Path(folder), threads))
        try:
            from model.foreign import load as load_foreign
            from model.torch_backend import load as load_ours
        except ImportError as error:
            raise ModelError(
                f"the torch backend needs {error.name}: pip install barograph[train]"
            ) from None
        if _is_ours(Path(folder)):
            return cls(load_ours(Path(folder), device))
        return cls(load_foreign(str(folder), device, label_map))

    @property
    def takes_targets(self) -> bool:
        """Whether the model tells the sentiment towards a target."""
        return self.about.pairs

    def classify(
        self, texts: Sequence[str], targets: Sequence[Target | None] | None = None
    ) -> list[Score]:
        """Score texts, cleaned here; the answers stand in the order of the texts.

        By ``onnx`` the score of a text does not depend on the other texts of the call; by ``torch``
        it does so in the last digits.

        Args:
            texts: the first 20,000 characters of each are read.
            targets: one a text: None, a name, or start and end of its characters in the text as
                given. Of a text too long to be read at once, what stands around the first mention
                of the name, or around the span, is read. A model without ``pairs`` ignores targets
                and says so in the score.

        Raises:
            ValueError: a target is empty or not within its text, or there are not as many targets
                as texts.
        """
        if targets is not None and len(targets) != len(texts):
            raise ValueError(f"{len(targets)} targets for {len(texts)} texts")
        asked = zip(texts, targets or [None] * len(texts), strict=True)
        inputs = [self._input(text, target) for text, target in asked]
        encoded = self._tokenizer.encode_batch(
            [(i.text, i.name) if i.name is not None else i.text for i in inputs]
        )
        parts = [self._runs(*both) for both in zip(inputs, encoded, strict=True)]
        if not parts:
            return []
        of_sentiment, of_topic = self._backend.logits([run.ids for run in chain(*parts)])
        scores, start = [], 0
        for put, part in zip(inputs, parts, strict=True):
            rows = slice(start, start + len(part))
            start += len(part)
            sentiment = _combined(of_sentiment[rows], self.about.temperature[0], part)
            topic = _combined(of_topic[rows], self.about.temperature[1], part)
            scores.append(self._score(put, sentiment, topic))
        return scores

    def _input(self, text: str, target: Target | None) -> _Input:
        name = None if target is None else name_of(text, target)
        short = clean(text[:MAX_CHARACTERS])
        return _Input(short, name if self.takes_targets else None, text, target)

    def _runs(self, put: _Input, encoding: Encoding) -> list[Run]:
        size = self.about.max_tokens
        if len(encoding) <= size:
            return [Run(encoding.ids, 1)]
        at = None
        if put.target is not None and put.name is not None:
            at = _tokens(encoding, mention(put.given, put.target, put.text, put.name))
        return runs(encoding.ids, encoding.sequence_ids, size, at)

    def _score(self, put: _Input, sentiment: Probabilities, topic: Probabilities) -> Score:
        lang = language(put.text)
        return Score(
            sentiment=self.about.sentiments[int(sentiment.argmax())],
            probabilities=(float(sentiment[0]), float(sentiment[1]), float(sentiment[2])),
            topic=self.about.topics[int(topic.argmax())] if topic.size else NO_TOPIC,
            topic_probability=float(topic.max()) if topic.size else 0.0,
            lang=lang,
            known_language=lang in self.about.languages or not count_letters(put.text),
            towards_target=put.name is not None,
        )


def _is_ours(folder: Path) -> bool:
    """Whether training or export wrote this folder; what is no folder may be a hub name."""
    if not folder.is_dir():
        return False
    if is_export(folder):
        return True
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"no model in {folder}: {error.strerror}: config.json") from None
    except ValueError:
        raise ModelError(f"{folder / 'config.json'} does not describe a model") from None
    return isinstance(config, dict) and config.get("model_type") == "barograph"


def _tokens(encoding: Encoding, characters: tuple[int, int] | None) -> tuple[int, int] | None:
    """First and last token of these characters of the text."""
    if characters is None:
        return None
    first, last = (encoding.char_to_token(at, FIRST) for at in characters)
    return None if first is None or last is None else (first, last)


def _combined(
    logits: npt.NDArray[np.float32], temperature: float, part: list[Run]
) -> Probabilities:
    """Probabilities of one text's runs, averaged. Text by text, so that no rounding is shared."""
    if not logits.shape[1]:
        return np.zeros(0)
    found = [_softmax(row.astype(np.float64) / temperature) for row in logits]
    if len(found) == 1:
        return found[0]
    mean: Probabilities = np.average(found, axis=0, weights=[run.weight for run in part])
    return mean


def _softmax(logits: Probabilities) -> Probabilities:
    powers = np.exp(logits - float(logits.max()))
    result: Probabilities = powers / powers.sum()
    return result
