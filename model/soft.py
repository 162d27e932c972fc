"""What teachers say of training texts: probabilities, kept by a hash of each text, not the text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model.dataset import DatasetError, Example, key_of
from model.labels import SENTIMENTS, TOPICS

CLASSES = len(SENTIMENTS) + len(TOPICS)


@dataclass(frozen=True)
class SoftLabels:
    """Probabilities by text and target."""

    keys: npt.NDArray[np.uint64]
    """of the texts, in rising order"""
    probabilities: npt.NDArray[np.float16]
    """(texts, 3 + 20), sentiments and then topics, each summing to 1; NaN where a head has none"""

    @classmethod
    def made(
        cls, examples: Sequence[Example], probabilities: npt.NDArray[np.floating]
    ) -> SoftLabels:
        """Of examples and the rows that belong to them."""
        keys = np.array([_key(example) for example in examples], np.uint64)
        order = np.argsort(keys)
        return cls(keys[order], probabilities[order].astype(np.float16))

    @classmethod
    def read(cls, path: Path) -> SoftLabels:
        """Of a file that ``write`` made.

        Raises:
            DatasetError: it cannot be read, or is none.
        """
        try:
            file = load_file(path)
            found = cls(file["keys"], file["probabilities"])
        except (OSError, SafetensorError, KeyError) as error:
            raise DatasetError(f"{path} holds no soft labels: {error}") from None
        if not len(found.keys) or found.probabilities.shape != (len(found.keys), CLASSES):
            raise DatasetError(
                f"{path} holds no soft labels: {found.probabilities.shape} numbers of "
                f"{len(found.keys)} texts, expected {CLASSES} each"
            )
        return found

    def write(self, path: Path) -> None:
        save_file({"keys": self.keys, "probabilities": self.probabilities}, path)

    @property
    def sha256(self) -> str:
        """Of what they say, however it is packed."""
        return hashlib.sha256(self.keys.tobytes() + self.probabilities.tobytes()).hexdigest()

    def of(self, examples: Iterable[Example]) -> npt.NDArray[np.float32]:
        """A row an example, (examples, 23); NaN for those of which nothing is said."""
        wanted = np.array([_key(example) for example in examples], np.uint64)
        at = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        found: npt.NDArray[np.float32] = self.probabilities[at].astype(np.float32)
        found[self.keys[at] != wanted] = np.nan
        return found


def _key(example: Example) -> int:
    text = "\0".join(key_of(example)).encode("utf-8", "replace")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
