from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification

from model.classifier import Classifier, ModelError, Score
from model.encoding import encode
from model.foreign import columns
from model.labels import SENTIMENTS, TOPICS
from model.network import TwoHeadClassifier
from model.torch_backend import TorchBackend, choose_device, compiled, positions
from stream.scorer import Raw
from stream.settings import Settings, WorkerSettings
from stream.worker import build_scorer
from tests.training.conftest import ARCHITECTURES, FIRMS

TEXTS = [
    "Acme soars",
    "",
    "Bolt plunges on Monday after the report of the third quarter",
    "Crane meets in a day of little trading " * 4,
    "Elm",
    "Acme soars " * 200,
]
MAX_TOKENS = 32


@pytest.fixture(params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, backbone: Callable[[str], Path], tmp_path: Path) -> Path:
    """What training writes: the tokenizer's files, and a network whose heads tell texts apart."""
    made = Path(shutil.copytree(backbone(request.param), tmp_path / "run"))
    torch.manual_seed(3)
    network = TwoHeadClassifier.from_backbone(made)
    with torch.no_grad():
        for head in (network.sentiment, network.topic):
            head.weight.normal_(0, 0.3)
    network.save_pretrained(made)
    (made / "run.json").write_text(json.dumps({"settings": {"max_tokens": MAX_TOKENS}}))
    return made


def loaded(folder: Path, **description: Any) -> Classifier:
    (folder / "model.json").write_text(json.dumps(description))
    return Classifier.load(folder, backend="torch", device="cpu")


def test_the_worker_scores_with_it(folder: Path) -> None:
    (folder / "model.json").write_text("{}")
    scorer = build_scorer(Settings(model=folder, worker=WorkerSettings(backend="torch")))
    row = json.dumps({"text": "Acme soars", "source": "wire"}).encode()
    batch = scorer.score([Raw(0, 0, row, 1.0e9)], 1.0e9)
    assert [document.source for _, document in batch.scored] == ["wire"]


def near(ours: list[Score], theirs: list[Score], atol: float = 1e-4) -> bool:
    return len(ours) == len(theirs) and all(
        np.allclose(a.probabilities, b.probabilities, rtol=0, atol=atol)
        and abs(a.topic_probability - b.topic_probability) < atol
        for a, b in zip(ours, theirs, strict=True)
    )


@torch.inference_mode()
def expected(folder: Path, *texts: str) -> list[float]:
    """Probabilities of a text or pair, by transformers as training has it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    name = texts[1] if len(texts) > 1 else None
    ids = torch.tensor([encode(tokenizer, texts[0], name, MAX_TOKENS)])
    network = TwoHeadClassifier.from_pretrained(folder).eval()
    found: list[float] = network(ids, torch.ones_like(ids))[0].softmax(1)[0].tolist()
    return found


def test_scores_stand_in_the_order_of_the_texts_whatever_stands_beside_them(folder: Path) -> None:
    classifier = Classifier.load(folder, backend="torch", device="cpu")
    together = classifier.classify(TEXTS)
    alone = [classifier.classify([text])[0] for text in TEXTS]
    assert near(together, alone)
    assert near(together[::-1], classifier.classify(TEXTS[::-1]))
    assert not near(together[:1], together[2:3])
    assert classifier.classify([]) == []
    for score in together:
        assert sum(score.probabilities) == pytest.approx(1)
        assert score.topic in TOPICS


def test_scores_are_those_of_training(folder: Path) -> None:
    classifier = loaded(folder, pairs=True)
    text = TEXTS[2]
    bare, named = classifier.classify([text, text], [None, "Bolt"])
    assert bare.probabilities == pytest.approx(expected(folder, text), abs=1e-4)
    assert named.probabilities == pytest.approx(expected(folder, text, "Bolt"), abs=1e-4)
    assert (bare.towards_target, named.towards_target) == (False, True)
    assert not near([bare], [named], 1e-3)


def test_pairs_run_beside_texts(folder: Path) -> None:
    classifier = loaded(folder, pairs=True)
    targets = [*FIRMS[:5], (0, 4)]
    together = classifier.classify([*TEXTS, *TEXTS], [*targets, *[None] * 6])
    pairs, bare = classifier.classify(TEXTS, targets), classifier.classify(TEXTS)
    assert near(together, [*pairs, *bare])
    assert [score.towards_target for score in together] == [True] * 6 + [False] * 6


def test_a_long_pair_is_cut_as_in_training(folder: Path) -> None:
    [score] = loaded(folder, pairs=True).classify([TEXTS[3]], ["Crane"])
    assert score.probabilities == pytest.approx(expected(folder, TEXTS[3], "Crane"), abs=1e-4)


def test_a_long_text_is_more_than_its_beginning(folder: Path) -> None:
    text = "Acme soars " * 15 + "Bolt plunges " * 15
    [whole] = Classifier.load(folder, backend="torch", device="cpu").classify([text])
    assert np.abs(np.array(whole.probabilities) - expected(folder, text)).max() > 1e-4


def test_a_folder_says_what_it_is_or_is_named_by_what_it_holds(folder: Path) -> None:
    bare = Classifier.load(folder, backend="torch", device="cpu")
    assert bare.name == "run"
    assert len(bare.version) == 12
    assert bare.about.max_tokens == MAX_TOKENS
    assert (bare.about.pairs, bare.about.temperature) == (False, (1.0, 1.0))
    made = loaded(folder, name="mine", version="7", temperature={"sentiment": 2}, languages=["zh"])
    assert (made.name, made.version, made.about.temperature) == ("mine", "7", (2.0, 1.0))
    assert not made.classify(["Acme soars"])[0].known_language


# What follows is the same for every architecture.


@pytest.fixture
def bert(backbone: Callable[[str], Path], tmp_path: Path) -> Path:
    made = Path(shutil.copytree(backbone("bert"), tmp_path / "run"))
    TwoHeadClassifier.from_backbone(made).save_pretrained(made)
    return made


def load(folder: Path, **options: Any) -> Classifier:
    return Classifier.load(folder, backend="torch", device="cpu", **options)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_said(bert: Path, file: str) -> None:
    (bert / file).unlink()
    with pytest.raises(ModelError, match=rf"no model in .*: No such file.*: {file}"):
        load(bert)


def test_a_file_that_is_no_safetensors_is_said(bert: Path) -> None:
    (bert / "model.safetensors").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="no model in"):
        load(bert)


def test_a_changed_file_is_refused(bert: Path) -> None:
    with pytest.raises(ModelError, match=r"model.safetensors is not the file that model.json name"):
        loaded(bert, sha256={"model.safetensors": "0" * 64})


def test_weights_that_are_not_there_are_not_made_up(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(bert / "model.safetensors")
    del weights["topic.bias"]
    save_file(weights, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights: topic.bias"):
        load(bert)


def test_pickles_are_not_read(bert: Path) -> None:
    network = TwoHeadClassifier.from_pretrained(bert)
    (bert / "model.safetensors").unlink()
    torch.save(network.state_dict(), bert / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"No such file: model.safetensors"):
        load(bert)


def test_a_device_that_is_none_is_said(bert: Path) -> None:
    with pytest.raises(ModelError, match="'abacus' is no device of torch"):
        Classifier.load(bert, backend="torch", device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA device here"):
            Classifier.load(bert, backend="torch", device="cuda")
        assert choose_device(None) == torch.device("cpu")


def test_positions_are_those_that_tokens_have() -> None:
    assert positions(BertConfig(max_position_embeddings=64)) == 64
    assert positions(BertConfig(max_position_embeddings=8_192)) == 512
    from transformers import RobertaConfig

    assert positions(RobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert positions(RobertaConfig(max_position_embeddings=130, pad_token_id=1)) == 128


def test_batches_keep_to_the_budget_and_repeat_their_shapes() -> None:
    shapes = []

    def network(ids: Any, mask: Any) -> tuple[Any, Any]:
        shapes.append(tuple(ids.shape))
        assert (ids[mask == 0] == 9).all()
        first = ids[:, :1].to(torch.bfloat16)
        return first.repeat(1, 3), first.repeat(1, 20)

    backend = TorchBackend(network, torch.device("cpu"), 9, 64)
    sequences = [[i] * (1 + 7 * i % 20) for i in range(30)]
    sentiment, topic = backend.logits(sequences)
    assert sentiment[:, 0].tolist() == topic[:, 0].tolist() == list(range(30))
    assert sentiment.dtype == np.float32
    assert all(rows * length <= 64 for rows, length in shapes)
    assert {length for _, length in shapes} == {16, 24}


# Classifiers of others

FINBERT = {0: "positive", 1: "negative", 2: "neutral"}


@pytest.fixture
def foreign(backbone: Callable[[str], Path], tmp_path: Path) -> Callable[[dict[int, str]], Path]:
    def made(id2label: dict[int, str]) -> Path:
        folder = tmp_path / "finbert"
        shutil.copytree(backbone("bert"), folder)
        vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
        torch.manual_seed(4)
        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=40,
            pad_token_id=1,
            initializer_range=0.5,
            num_labels=len(id2label),
            id2label=id2label,
            label2id={label: i for i, label in id2label.items()},
        )
        BertForSequenceClassification(config).save_pretrained(folder)
        return folder

    return made


@torch.inference_mode()
def plain(folder: Path, text: str) -> list[float]:
    from transformers import AutoTokenizer

    network = BertForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    found: list[float] = network(**inputs).logits.softmax(1)[0].tolist()
    return found


def test_another_classifier_is_used_as_it_is(foreign: Callable[..., Path]) -> None:
    folder = foreign(FINBERT)
    classifier = load(folder)
    scores = classifier.classify(TEXTS, ["Acme", *[None] * 5])
    positive, negative, neutral = plain(folder, TEXTS[0])
    assert scores[0].probabilities == pytest.approx((negative, neutral, positive), abs=1e-5)
    assert scores[0].sentiment == SENTIMENTS[int(np.argmax([negative, neutral, positive]))]
    assert (scores[0].topic, scores[0].topic_probability) == ("General News | Opinion", 0.0)
    assert not scores[0].towards_target
    assert near(scores, [classifier.classify([text])[0] for text in TEXTS])
    assert (classifier.name, len(classifier.version)) == ("finbert", 12)
    assert classifier.about.max_tokens == 40


def test_labels_that_say_nothing_need_a_map(foreign: Callable[..., Path]) -> None:
    folder = foreign({i: f"LABEL_{i}" for i in range(3)})
    with pytest.raises(ModelError, match=r"has the labels LABEL_0, LABEL_1, LABEL_2; .*bullish"):
        load(folder)
    names = dict(zip(("label_0", "LABEL_1", "LABEL_2"), SENTIMENTS, strict=True))
    [score] = load(folder, label_map=names).classify(["Acme soars"])
    assert score.probabilities == pytest.approx(tuple(plain(folder, "Acme soars")), abs=1e-5)


def test_labels_that_mean_the_same_add_up(foreign: Callable[..., Path]) -> None:
    folder = foreign({0: "very bad", 1: "NEGATIVE", 2: "Neu", 3: "Bullish"})
    [score] = load(folder, label_map={"very bad": "negative"}).classify(["Acme soars"])
    worst, bad, plain_one, good = plain(folder, "Acme soars")
    assert score.probabilities == pytest.approx((worst + bad, plain_one, good), abs=1e-5)


@pytest.mark.parametrize(
    "labels", [("negative", "positive"), ("negative", "neutral", "positive", "mixed"), ("5", "6")]
)
def test_missing_and_unknown_labels_are_listed(labels: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match=rf"x has the labels {', '.join(labels)}; .*Known: negat"):
        columns("x", dict(enumerate(labels)))


def test_columns_are_ours_in_order() -> None:
    assert columns("x", FINBERT) == [[1], [2], [0]]
    assert columns("x", {0: "Bearish", 1: "NEU", 2: "pos"}) == [[0], [1], [2]]


def test_an_encoder_without_a_head_is_no_classifier(backbone: Callable[[str], Path]) -> None:
    names = {"LABEL_0": "negative", "LABEL_1": "positive", "LABEL_2": "neutral"}
    with pytest.raises(ModelError, match="has the labels LABEL_0, LABEL_1;"):
        load(backbone("bert"), label_map=names)


def test_a_classifier_in_a_pickle_is_not_read(foreign: Callable[..., Path]) -> None:
    folder = foreign(FINBERT)
    network = BertForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no model in"):
        load(folder)


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model in"):
        load(tmp_path / "none")


CPU = torch.device("cpu")


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a CPU with g++")
def test_a_compiled_network_says_the_same_of_texts_of_any_number_and_length(
    backbone: Callable[[str], Path],
) -> None:
    network = TwoHeadClassifier.from_backbone(backbone("bert")).eval()
    program = compiled(network, CPU)
    assert program is not network
    for rows, length in ((1, 5), (1, 9), (3, 9), (7, 16)):
        ids = torch.randint(4, 20, (rows, length))
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            for found, wanted in zip(program(ids, mask), network(ids, mask), strict=True):
                torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_without_a_compiler_the_network_runs_as_it_is(
    backbone: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    torch._dynamo.reset()
    network = TwoHeadClassifier.from_backbone(backbone("bert")).eval()
    assert compiled(network, CPU) is network
    assert "runs as it is, not compiled" in caplog.text
