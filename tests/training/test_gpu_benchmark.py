"""The benchmark for GPUs, where there is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu
from benchmarks.gpu import SIZES, Size, flops, made_up, peak_of, random_network
from model.network import TwoHeadClassifier
from tests.training.conftest import texts

CPU = torch.device("cpu")
TINY = SIZES["cpu"]["tiny"]


@pytest.mark.parametrize("size", [TINY, Size(3, 48, 4, 80, vocabulary=50)])
@pytest.mark.parametrize("tokens", [24, 32])
def test_flops_are_those_of_the_matrix_products(size: Size, tokens: int) -> None:
    network = random_network(size, CPU)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(*made_up(5, tokens, size.vocabulary))
    assert counter.get_total_flops() == 5 * flops(size, tokens)


def test_flops_of_a_known_encoder() -> None:
    """BERT base at 128 tokens is known to take 22.4 billion."""
    assert flops(SIZES["cuda"]["BERT base"], 128) == pytest.approx(22.4e9, rel=0.01)


def test_texts_are_padded_to_their_length_and_no_further() -> None:
    ids, mask = made_up(200, 32, 100)
    lengths = mask.sum(1)
    assert (int(lengths.min()), int(lengths.max())) == (25, 32)
    assert ((ids == 0) == (mask == 0)).all()


@pytest.mark.parametrize(
    ("device", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", None),
        ("NVIDIA H100 PCIe", None),
        ("CPU", None),
    ],
)
def test_peaks_are_known_by_name(device: str, tflops: float | None) -> None:
    assert peak_of(device) == tflops


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        gpu.main([])
    assert exit_.value.code == 1
    assert "no CUDA device" in capsys.readouterr().err


def test_the_network_compiles_as_one_program_for_all_shapes() -> None:
    network = random_network(TINY, CPU)
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=True)
    for stance, rows, tokens in (
        ("default", 4, 32),
        ("fail_on_recompile", 6, 24),
        ("fail_on_recompile", 3, 128),
    ):
        inputs = made_up(rows, tokens, TINY.vocabulary)
        with torch.inference_mode(), torch.compiler.set_stance(stance):
            found = compiled(*inputs)
        with torch.inference_mode():
            expected = network(*inputs)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.fixture
def trained(backbone: Callable[[str], Path], tmp_path: Path) -> Path:
    made = Path(shutil.copytree(backbone("bert"), tmp_path / "run"))
    TwoHeadClassifier.from_backbone(made).save_pretrained(made)
    return made


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file of texts to compare labels on."""
    made = tmp_path / "texts.jsonl"
    made.write_text("".join(json.dumps({"text": example.text}) + "\n" for example in texts()))
    return made


def test_a_try_on_the_cpu(
    trained: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gpu.json"
    before = gpu.RESULTS.read_bytes() if gpu.RESULTS.exists() else None
    options = ["--device", "cpu", "--rounds", "3", "--peak-tflops", "0.5", "--count", "20"]
    gpu.main([*options, "--model", str(trained), "--texts", str(rows)])
    gpu.main([*options, "--out", str(out)])
    after = gpu.RESULTS.read_bytes() if gpu.RESULTS.exists() else None
    assert after == before, "figures of a CPU are no results"
    said, _ = json.JSONDecoder().raw_decode(capsys.readouterr().out)
    agreement = said["agreement"]
    assert (agreement["texts"], agreement["same_sentiment"], agreement["same_topic"]) == (20, 1, 1)
    figures: dict[str, Any] = json.loads(out.read_text())
    assert (figures["device"], figures["dtype"], figures["attention"]) == ("CPU", "float32", "sdpa")
    assert [(r["tokens"], r["batch"]) for r in figures["runs"]] == [(32, 8), (128, 2)]
    for found in figures["runs"]:
        [(way, eager)] = found["ways"].items()
        assert (way, eager["over_eager"]) == ("eager", 1)
        tflops = eager["network_documents_per_second"] * found["flops_a_document"] / 1e12
        assert eager["network_tflops"] == pytest.approx(tflops, rel=1e-2)
        assert eager["network_share_of_peak"] == pytest.approx(tflops / 0.5, rel=1e-2)
        assert eager["documents_per_second"] > 0


def test_labels_alone_leave_the_speeds_as_they_were(
    trained: Path, rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gpu.json"
    out.write_text(json.dumps({"device": "a GPU", "runs": ["measured before"]}))
    options = ["--device", "cpu", "--labels-only", "--texts", str(rows), "--count", "8"]
    gpu.main([*options, "--model", str(trained), "--out", str(out)])
    figures = json.loads(out.read_text())
    assert (figures["device"], figures["runs"]) == ("a GPU", ["measured before"])
    assert (figures["agreement"]["device"], figures["agreement"]["texts"]) == ("CPU", 8)
    with pytest.raises(SystemExit):
        gpu.main(options)


def test_a_way_that_cannot_be_made_says_why_and_the_others_go_on() -> None:
    def broken(*_: torch.Tensor) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    networks = {"eager": random_network(TINY, CPU), "graphs": broken}
    found = gpu.compare(networks, TINY, 4, 32, CPU, None, 1)
    assert found["graphs"] == {"failed": "operation not permitted when stream is capturing"}
    assert found["eager"]["network_share_of_peak"] is None
