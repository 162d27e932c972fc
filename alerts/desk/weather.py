"""How the topics stand, worst first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from alerts.records import Window


@dataclass(frozen=True, slots=True)
class Outlook:
    """One topic's newest hour; ``share`` is the length of its bar, 0 to 100 of the longest."""

    window: Window
    excess: float
    stale: bool
    share: float
    expected_share: float


def outlook(windows: Iterable[Window], stale_before: datetime) -> list[Outlook]:
    """The topics by how far their negative stories exceed what was expected, quiet ones last."""
    found = list(windows)
    longest = max(
        (max(w.negative_stories, w.expected_negative_stories or 0) for w in found), default=0
    )
    scale = 100 / longest if longest else 0
    topics = [
        Outlook(
            window=window,
            excess=excess(window),
            stale=window.end < stale_before,
            share=window.negative_stories * scale,
            expected_share=(window.expected_negative_stories or 0) * scale,
        )
        for window in found
    ]
    return sorted(topics, key=lambda topic: (topic.stale, -topic.excess, topic.window.topic))


def excess(window: Window) -> float:
    """Negative stories above what was expected, in roots of it; a rank, not a test."""
    expected = window.expected_negative_stories or 0.0
    return (window.negative_stories - expected) / sqrt(expected + 1)
