from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoTokenizer

from model import restore
from model.backend import ModelError, is_export
from model.classifier import WEIGHTS, Classifier
from model.dataset import CORPUS, read_examples
from model.export import architecture, as_onnx, describe, quantize
from model.network import TwoHeadClassifier
from model.recipe import begun_from
from model.train import main
from tests.training.conftest import ARCHITECTURES, SEQUENCES, texts


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request: pytest.FixtureRequest, backbone: Callable[[str], Path]) -> TwoHeadClassifier:
    torch.manual_seed(4)
    made = TwoHeadClassifier.from_backbone(backbone(request.param)).eval()
    with torch.no_grad():
        for weight in made.parameters():  # Of equal ones, as norms are at first, one is exported.
            weight += 0.01 * torch.randn_like(weight)
    return made


@pytest.fixture(scope="module")
def exported(
    network: TwoHeadClassifier,
    backbone: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """An export of a network whose heads were never trained, which no run would pass."""
    folder = tmp_path_factory.mktemp("exported")
    quantize(as_onnx(network), folder / "model.onnx", SEQUENCES)
    shutil.copy(backbone("bert") / "tokenizer.json", folder)
    about = {
        "languages": ["en"],
        "max_tokens": 32,
        "network": architecture(network),
        "training": {"settings": {"seed": 7}, "minutes": 1.0, "dev": {}},
    }
    describe(folder, "tiny", about)
    return folder


def test_every_weight_comes_back_but_for_what_8_bits_took(
    network: TwoHeadClassifier, exported: Path
) -> None:
    found = dict(restore.restore(exported).network.named_parameters())
    for name, weight in network.named_parameters():
        if weight.ndim == 1:
            torch.testing.assert_close(found[name], weight)
        else:
            assert (found[name] - weight).norm() <= 0.05 * weight.norm(), name


def test_its_configuration_and_tokenizer_are_those_it_had(
    network: TwoHeadClassifier, exported: Path, backbone: Callable[[str], Path], tmp_path: Path
) -> None:
    restore.write(exported, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert architecture(TwoHeadClassifier.from_pretrained(tmp_path)) == architecture(network)
    before = AutoTokenizer.from_pretrained(backbone("bert"))
    assert tokenizer.pad_token_id == before.pad_token_id
    asked = texts()[0].text
    assert tokenizer(asked, "Acme")["input_ids"] == before(asked, "Acme")["input_ids"]


def test_training_goes_on_from_an_export(exported: Path, tmp_path: Path) -> None:
    rows = [
        {"text": e.text, "sentiment": ("negative", "neutral", "positive")[e.sentiment]}
        for e in texts()
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    main(
        [
            *("--train", str(tmp_path / "mine.jsonl"), "--backbone", str(exported)),
            *("--out", str(tmp_path / "run"), "--epochs", "1", "--learning-rate", "1e-9"),
            *("--head-learning-rate", "1e-9", "--no-bf16", "--dev-share", "0.3"),
        ]
    )
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    version = json.loads((exported / "model.json").read_text())["version"]
    assert described["backbone"] == f"tiny {version}"
    assert described["after"] == {"settings": {"seed": 7}}
    begun, ended = (
        TwoHeadClassifier.from_pretrained(folder)
        for folder in (tmp_path / "run" / f"backbone-{version}", tmp_path / "run")
    )
    for (name, one), other in zip(begun.named_parameters(), ended.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0, msg=name)


def test_a_run_and_a_hub_name_are_begun_from_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert not is_export(tmp_path)
    assert begun_from(str(tmp_path)) == {"backbone": tmp_path.name}
    assert begun_from("some/encoder") == {"backbone": "some/encoder"}


@pytest.mark.parametrize("said", [None, {}, "bert", {"backbone": {"model_type": "none such"}}])
def test_an_export_that_does_not_say_what_it_is_of_is_refused(
    said: object, exported: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "old"))
    described = json.loads((folder / "model.json").read_text())
    del described["network"]
    if said is not None:
        described["network"] = said
    (folder / "model.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match="does not say what network it is: export it anew"):
        restore.restore(folder)


def test_an_export_that_lacks_a_weight_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "less"))
    model = onnx.load(str(folder / "model.onnx"))
    for node in model.graph.node:
        if node.name.startswith("/topic/"):
            node.name = "/elsewhere/MatMul"
    onnx.save(model, str(folder / "model.onnx"))
    described = json.loads((folder / "model.json").read_text())
    describe(folder, "tiny", {k: described[k] for k in ("languages", "max_tokens", "network")})
    with pytest.raises(ModelError, match=r"lacks 1 weights of its network, topic\.weight among"):
        restore.restore(folder)


def test_what_ships_says_the_same_on_torch() -> None:
    asked = [e.text for path in sorted(CORPUS.glob("*.jsonl")) for e in read_examples(path)[:15]]
    ours, theirs = Classifier.load(), Classifier.load(backend="torch", device="cpu")
    pairs = zip(ours.classify(asked), theirs.classify(asked), strict=True)
    same = [one.sentiment == other.sentiment for one, other in pairs]
    assert len(same) >= 100
    assert np.mean(same) >= 0.97
    assert theirs.version == json.loads((WEIGHTS / "model.json").read_text())["version"]
