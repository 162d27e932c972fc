from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.desk.chart import HEIGHT, SPARK_HEIGHT, SPARK_WIDTH, WIDTH, compare, draw, spark
from alerts.desk.weather import Readings, outlook
from alerts.history import Sums
from alerts.records import AlertWindow, Expectation, Window
from tests.alerts.examples import NOON, alert, window

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
hours = st.lists(
    st.builds(
        window,
        start=st.integers(0, 47).map(lambda hour: NOON + timedelta(hours=hour)),
        documents=st.integers(0, 10**6),
        expected_negative_stories=st.none() | st.floats(0, 10**6),
    ),
    max_size=48,
)


@given(hours)
def test_charts_stay_within_their_box(windows: list[Window]) -> None:
    chart = draw(windows, NOON, NOON + 2 * DAY, [alert(), alert(starts_at=NOON - DAY)])
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert -0.01 <= bar.y <= bar.y + bar.height <= HEIGHT + 0.02
        assert bar.expected_y is None or 0 <= bar.expected_y <= HEIGHT
        for _, y, height in bar.labels:
            assert -0.01 <= y <= y + height <= HEIGHT + 0.02
    for mark in chart.marks:
        assert 0 <= mark.x <= mark.x + mark.width <= WIDTH
    line = spark(windows, NOON + 2 * DAY)
    for x, y, width, height in line.bars:
        assert 0 <= x <= x + width <= SPARK_WIDTH
        assert -0.01 <= y <= y + height <= SPARK_HEIGHT + 0.02


@given(
    hours,
    st.integers(0, 59),
    st.sampled_from([5, 15, 60, 1440]),
    st.floats(0, 100),
    st.integers(0, 10**5),
)
def test_an_alerts_window_stands_among_its_like(
    windows: list[Window], minute: int, minutes: int, high: float, found: int
) -> None:
    end = NOON + DAY + timedelta(minutes=minute)
    tested = AlertWindow(
        start=end - timedelta(minutes=minutes),
        end=end,
        documents=found,
        stories=found,
        negative_stories=found,
        sources=2,
        mean_sentiment=0,
    )
    expected = Expectation(negative_stories=high / 2, low=0, high=high, hours_learned=9)
    shown = compare(windows, alert(window=tested, baseline=expected), until=end + HOUR)
    assert [block.negative for block in shown.blocks if block.tested] == [found]
    at = next(block for block in shown.blocks if block.tested)
    assert at.start < end <= at.end
    assert all(block.end - block.start == timedelta(minutes=minutes) for block in shown.blocks)
    for block in shown.blocks:
        assert 0 <= block.x <= block.x + block.width <= WIDTH
        assert -0.01 <= block.y <= block.y + block.height <= HEIGHT + 0.02
    assert 0 <= shown.high_y <= shown.mean_y <= shown.low_y <= HEIGHT


def test_the_hour_up_to_now_is_made_of_short_windows() -> None:
    as_of = NOON + timedelta(minutes=20)
    around = [window(start=NOON - HOUR, documents=9), window(start=NOON, documents=6, sources=7)]
    readings = Readings(
        newest=around[1:],
        sums={"class:macro": Sums(24, 24, 24, -0.5)},
        hours={"class:macro": around},
        usual={"class:macro": 0.25},
    )
    (topic,) = outlook(readings, as_of)
    assert topic.negative == topic.stories == topic.documents == 24
    assert topic.expected == 2.5  # two thirds of one hour's and a third of the other's
    assert (topic.share, topic.usual, topic.sources, topic.state) == (1.0, 0.25, 7, "elevated")
    assert topic.excess > 10


def test_a_topic_without_windows_of_its_own_hour_is_quiet() -> None:
    (topic,) = outlook(Readings(newest=[window()]), NOON + DAY)
    assert (topic.state, topic.share, topic.expected, topic.documents) == ("quiet", None, None, 0)
