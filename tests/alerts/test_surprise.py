from __future__ import annotations

import csv
import math
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.surprise import Row, SeriesError, main, read, surprises

MONDAY = 1_704_067_200
"""2024-01-01, seconds since 1970."""


def made(weeks: float, step: int, mean: float, seed: int = 1) -> list[Row]:
    """Counts with a daily rhythm, each nearly Poisson."""
    dice = random.Random(seed)
    rows: list[Row] = []
    for i in range(int(weeks * 7 * 86_400 / step)):
        at = MONDAY + i * step
        here = mean * (1 + 0.8 * math.sin(at / 86_400 * 2 * math.pi))
        rows.append((at, max(round(dice.gauss(here, math.sqrt(here))), 0)))
    return rows


@pytest.mark.parametrize(("step", "mean"), [(300, 8.0), (3600, 60.0), (900, 15.0)])
def test_a_burst_stands_out_and_the_rhythm_does_not(step: int, mean: float) -> None:
    rows = made(4, step, mean)
    where = int(3.5 * 7 * 86_400 / step)
    rows[where] = (rows[where][0], 8 * mean)
    found = list(surprises(rows))
    assert len(found) == len(rows)
    week = 7 * 86_400 // step
    others = found[2 * week : where] + found[where + 86_400 // step + 2 :]
    assert found[where] > max(others) + 2
    assert max(others) < 5


def test_nothing_that_comes_later_changes_a_surprise() -> None:
    rows = made(2, 3600, 20)
    assert list(surprises(rows))[:200] == list(surprises(rows[:200]))


def test_a_gap_and_unknown_values_are_no_zeros() -> None:
    rows = made(4, 3600, 50)
    holes: list[Row] = [(t, None if i % 50 == 0 else v) for i, (t, v) in enumerate(rows)]
    gapped = holes[:400] + holes[472:]
    found = list(surprises(gapped))
    assert len(found) == len(gapped)
    assert all(found[i] == 0 for i, (_, value) in enumerate(gapped) if value is None)
    assert max(found) < 5


@pytest.mark.parametrize("step", [300, 1800, 3600])
def test_nothing_is_judged_by_what_was_expected_before_anything_was_known(step: int) -> None:
    """A day's window is first judged a day after the first hour's."""
    found = list(surprises(made(1, step, 5000)))
    assert set(found[: 86_400 // step]) == {0.0}
    assert max(found) < 6


def test_the_first_day_surprises_nobody() -> None:
    assert set(surprises(made(1, 3600, 50)[:24])) == {0.0}
    assert list(surprises([])) == []
    assert list(surprises([(MONDAY, 3.0)])) == [0.0]


def test_rows_out_of_order_or_too_far_apart() -> None:
    with pytest.raises(SeriesError, match=r"row 3 .* in time order"):
        list(surprises([(0, 1.0), (3600, 1.0), (1800, 1.0)]))
    with pytest.raises(SeriesError, match=r"row 2 .* each timestamp once"):
        list(surprises([(0, 1.0), (0, 1.0)]))
    with pytest.raises(SeriesError, match="86400 s apart"):
        list(surprises([(0, 1.0), (86_400, 1.0), (172_800, 1.0)]))


def test_from_file_to_file(tmp_path: Path) -> None:
    rows = made(3, 3600, 30)
    rows[400] = (rows[400][0], 500)
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    stamps = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S") for at, _ in rows]
    lines = [f"{stamp},{value}" for stamp, (_, value) in zip(stamps, rows, strict=True)]
    source.write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    main(["--csv", str(source), "--out", str(target)])
    with target.open() as out:
        found = list(csv.DictReader(out))
    assert [row["timestamp"] for row in found] == stamps
    assert max(found, key=lambda row: float(row["surprise"]))["timestamp"] == stamps[400]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "must name timestamp and value"),
        ("timestamp,value\nyesterday,2\n", "line 2: 'yesterday' is no timestamp"),
        ("timestamp,value\n0,1\n3600,many\n", "line 3: 'many' is no number"),
        ("timestamp,value\n0,-1\n", "line 2: -1 is no count"),
    ],
)
def test_what_cannot_be_read_is_named(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.csv"
    path.write_text(text)
    with pytest.raises(SeriesError, match=message):
        read(path)
    with pytest.raises(SystemExit) as ended:
        main(["--csv", str(path), "--out", str(tmp_path / "out.csv")])
    assert ended.value.code == 1
    assert message.split(":")[0] in capsys.readouterr().err


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="cannot read"):
        read(tmp_path / "none.csv")
