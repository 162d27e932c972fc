"""Texts in, scores out: the classifier as it serves, on onnxruntime and tokenizers alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from model.labels import Sentiment
from model.text import clean

WEIGHTS = Path(__file__).parent / "weights"
"""The model that ships."""

MAX_CHARACTERS = 4_000
"""Characters given to the tokenizer: far more than its longest input takes."""


class ModelError(Exception):
    """A model folder cannot be used; the message says why."""


@dataclass(frozen=True)
class Score:
    """What the model says of one text."""

    sentiment: Sentiment
    probabilities: tuple[float, float, float]
    """negative, neutral, positive; their sum is 1"""
    topic: str
    topic_probability: float
    lang: str
    """``en`` or ``zh``, by script"""
    known_language: bool
    """False: the model was not made for this language, and its score means little"""


class Classifier:
    """A loaded model.

    Each text runs alone, several at a time in threads of their own, rather than padded into a
    batch. Activations are quantized by their range at run time, which in a batch would be the
    range of all its texts: a score would then depend on its neighbours, and a document scored again
    after a restart could get another label. On two cores this costs no speed for texts of this
    length (docs/decisions/0005-one-text-a-run.md).
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        tokenizer: Tokenizer,
        about: dict[str, Any],
        threads: int,
    ) -> None:
        self.name: str = about["name"]
        self.version: str = about["version"]
        self._sentiments: list[Sentiment] = about["sentiments"]
        self._topics: list[str] = about["topics"]
        self._languages: list[str] = about["languages"]
        self._session = session
        self._tokenizer = tokenizer
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="classify")

    @classmethod
    def load(cls, folder: Path | None = None, threads: int = 2) -> Classifier:
        """The model of a folder that ``barograph export`` wrote; None is the one that ships.

        Args:
            folder: holds ``model.json``, ``model.onnx`` and ``tokenizer.json``.
            threads: texts scored at the same time.

        Raises:
            ModelError: a file is missing, or is not the one that ``model.json`` names.
        """
        folder = folder or WEIGHTS
        try:
            about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            for file, digest in about["sha256"].items():
                if hashlib.sha256((folder / file).read_bytes()).hexdigest() != digest:
                    raise ModelError(f"{folder / file} is not the file that model.json names")
        except OSError as error:
            raise ModelError(f"no model in {folder}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ModelError(f"{folder / 'model.json'} does not describe a model") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(about["max_tokens"])
        return cls(session, tokenizer, about, threads)

    def classify(self, texts: Sequence[str]) -> list[Score]:
        """Score texts, cleaned here; the answers stand in the order of the texts.

        The score of a text does not depend on the other texts of the call.
        """
        cleaned = [clean(text[:MAX_CHARACTERS]) for text in texts]
        encoded = self._tokenizer.encode_batch(cleaned)
        return list(self._pool.map(self._score, cleaned, (e.ids for e in encoded)))

    def _score(self, text: str, ids: list[int]) -> Score:
        inputs = np.array([ids], dtype=np.int64)
        sentiment, topic = self._session.run(
            None, {"input_ids": inputs, "attention_mask": np.ones_like(inputs)}
        )
        of_sentiment = _softmax(sentiment[0])
        of_topic = _softmax(topic[0])
        lang = language(text)
        return Score(
            sentiment=self._sentiments[int(of_sentiment.argmax())],
            probabilities=(float(of_sentiment[0]), float(of_sentiment[1]), float(of_sentiment[2])),
            topic=self._topics[int(of_topic.argmax())],
            topic_probability=float(of_topic.max()),
            lang=lang,
            known_language=lang in self._languages,
        )


def language(text: str) -> str:
    """``zh`` where a fifth or more of the letters are Chinese characters, else ``en``.

    A first version by script: it tells the two languages of the project apart and no others.
    """
    letters = [c for c in text if c.isalpha()]
    chinese = sum("\u4e00" <= c <= "\u9fff" for c in letters)
    return "zh" if letters and 5 * chinese >= len(letters) else "en"


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - float(logits.max()))
    result: npt.NDArray[np.float64] = powers / powers.sum()
    return result
