"""The mean of runs that began alike, as one network.

``python -m model.mean RUN RUN … --out RUN``. Runs that begin from the same trained weights stay so
near to one another that the mean of their weights is a network too, less their accidents; runs from
a mere backbone do not. What it makes is a run like those: training goes on from it, and it is
exported. Source: Wortsman et al. (arXiv 2203.05482).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.dataset import DatasetError, read_examples
from model.encoding import Tokenized
from model.loss import measure
from model.teach import Teacher

WEIGHTS = "model.safetensors"
SAME = ("config.json", "dev.jsonl", "model.json", "tokenizer.json")
"""Files of a run that those must have in common whose mean is a run."""
OWN = (WEIGHTS, "run.json", "metrics.json")
"""Files that the mean has of its own."""


class MeanFault(ValueError):
    """These runs have no mean; says why."""


def mean(runs: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the run whose weights are the mean of those of ``runs``, and measure it.

    Returns:
        What stands in its ``metrics.json``: the minutes of all runs together, and the figures of
        the dev part.

    Raises:
        MeanFault: a run is not finished, or the runs are not alike.
    """
    first, *others = runs
    if out.resolve() in {run.resolve() for run in runs}:
        raise MeanFault(f"{out} is one of the runs: name another folder for their mean")
    try:
        described = [json.loads((run / "run.json").read_text()) for run in runs]
        minutes = [json.loads((run / "metrics.json").read_text())["minutes"] for run in runs]
        for name in SAME:
            content = (first / name).read_bytes()
            if other := next((o for o in others if (o / name).read_bytes() != content), None):
                raise MeanFault(f"{name} of {other} is not that of {first}: begin the runs alike")
        total = {name: weight.double() for name, weight in load_file(first / WEIGHTS).items()}
        for other in others:
            for name, weight in load_file(other / WEIGHTS).items():
                total[name] += weight
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise MeanFault(f"not all of these are finished runs: {error}") from None
    out.mkdir(parents=True, exist_ok=True)
    for file in first.iterdir():
        if file.is_file() and file.name not in OWN:
            shutil.copy(file, out / file.name)
    weights = {name: (weight / len(runs)).float() for name, weight in total.items()}
    save_file(weights, out / WEIGHTS, metadata={"format": "pt"})
    about = {"mean_of": len(runs), **beside(described)}
    (out / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    metrics = {"minutes": round(sum(minutes), 1), "dev": [_measured(out)], "held_out": {}}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    return metrics


def beside(described: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Descriptions as one: what all say stands as it is, else there is a list, one for each."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in described for name in one):
        values = [one.get(name) for one in described]
        if all(value == values[0] for value in values):
            found[name] = values[0]
        else:
            nested = [value for value in values if isinstance(value, Mapping)]
            found[name] = beside(nested) if len(nested) == len(values) else values
    return found


def _measured(run: Path) -> dict[str, float]:
    trained = Teacher.load(run)
    dev = read_examples(run / "dev.jsonl", targets=False)
    data = Tokenized(dev, trained.tokenizer, trained.max_tokens)
    return measure(trained.network, data, trained.tokenizer.pad_token_id or 0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the run; status 2 where there is no mean."""
    parser = argparse.ArgumentParser(
        prog="model.mean",
        description="The mean of the weights of runs that began from the same network.",
        epilog="example: python -m model.mean runs/long-21 runs/long-22 --out runs/mean",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of runs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run to write")
    given = parser.parse_args(arguments)
    try:
        metrics = mean(given.runs, given.out)
    except (MeanFault, DatasetError) as error:
        print(f"model.mean: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    for run in given.runs:
        print(f"{run}: {json.loads((run / 'metrics.json').read_text())['dev'][-1]}")
    print(f"{given.out}: {metrics['dev'][-1]}")


if __name__ == "__main__":
    main()
