"""Networks on onnxruntime, on the CPU: what the light install runs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from model.backend import Loaded, Logits, about, read_export


class OnnxBackend:
    """Each sequence alone, several at a time in threads of their own, rather than padded batches.

    Activations are quantized by their range at run time, which in a batch would be the range of all
    its texts: a score would then depend on its neighbours, and a document scored again after a
    restart could get another label. On two cores this costs no speed for short texts
    (docs/decisions/0005-one-text-a-run.md).
    """

    def __init__(self, file: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_free_dimension_override_by_name("batch", 1)
        self._session = onnxruntime.InferenceSession(
            str(file),
            options,
            providers=["CPUExecutionProvider"],
            # A sum and its norm in one operation take longer than one after the other.
            disabled_optimizers=["SkipLayerNormFusion"],
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="classify")

    def logits(self, sequences: Sequence[Sequence[int]]) -> tuple[Logits, Logits]:
        """Sentiment (texts, 3) and topic (texts, topics) of token ids, in their order."""
        found = list(self._pool.map(self._run, sequences))
        return np.concatenate([s for s, _ in found]), np.concatenate([t for _, t in found])

    def _run(self, ids: Sequence[int]) -> tuple[Logits, Logits]:
        inputs = np.array([ids], dtype=np.int64)
        sentiment, topic = self._session.run(
            None, {"input_ids": inputs, "attention_mask": np.ones_like(inputs)}
        )
        return sentiment, topic


def load(folder: Path, threads: int) -> Loaded:
    """The model of a folder that ``barograph export`` wrote.

    Raises:
        ModelError: a file is missing, or is not the one that ``model.json`` names.
    """
    return Loaded(
        about(folder, read_export(folder)),
        Tokenizer.from_file(str(folder / "tokenizer.json")),
        OnnxBackend(folder / "model.onnx", threads),
    )
