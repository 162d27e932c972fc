"""What a topic's own past leads to expect of its distinct negative stories.

The rate is known by hour of the week: the topic's mean, times the rhythm of all topics together,
times what the topic's own rhythm of the day adds to it (working days and weekends apart), times
what its hour of the week adds to that. Each is a gamma-Poisson posterior mean around the coarser
one, so it moves away from that only as far as counts support it (e.g. Gelman et al., Bayesian Data
Analysis, 3rd ed., section 2.6). A factor for the last days follows slow drift. Counts around the
rate are overdispersed; how much is fitted by moments, for each window length on its own, because
bursts of minutes and of days are different things (Cameron and Trivedi, Regression Analysis of
Count Data, 2nd ed., section 3.3).

Learns from closed hours only. An hour that is never given, because the feed had a gap or an alert
was firing, is missing: it is neither a zero nor does anything get forgotten over it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from alerts.negative_binomial import quantile

HOUR = 3600
WEEK = 168
DAY = 24
WORKING, WEEKEND = range(5), range(5, 7)
"""Days of the week that share a rhythm."""

LENGTHS = (300, 900, HOUR, DAY * HOUR)
"""Window lengths for which there is an expectation, seconds."""

SLOTS = 12
"""Parts of an hour that are counted on their own."""

PARTS = (SLOTS, 4, 1)
"""How many windows of the lengths up to an hour make one."""

# A weak prior: as if a tenth of a story had been seen in the time in which the topics together, or
# else this rate, lead to expect that much. It keeps the rate of a silent topic off zero, where a
# single story would be infinitely surprising.
PRIOR_STORY = 0.1
PRIOR_RATE = 0.2

DAY_SHRINK = 4.0
"""Stories that working days or weekends, or an hour of theirs, must have shown to count as much as
the mean."""

WEEK_SHRINK = 6.0
"""Stories that an hour of the week must have shown to count as much as that hour of other days."""

RECENT_HOURS = 48.0
RECENT_SHRINK = 8.0
RECENT_BOUNDS = (0.8, 4.0)
"""Memory, strength and range of the factor for the last days. It hardly lowers what is expected: a
quiet weekend would make an ordinary Monday look like a spike."""

# Overdispersion is believed only as far as hours support it: as if so many hours with one expected
# story, and a size of 2, were known.
PRIOR_SIZE = 2.0
PRIOR_SIZE_HOURS = 12.0

PRIOR_SIZE_DAYS = 7.0
"""Days that the overdispersion of whole days must be known for to count as much as the hours'."""

PRIOR_OFF = 1.0
"""Days, besides, that are taken to have been off by all that was expected of them: from few days
their overdispersion is known only roughly, and the tail of a day's count must allow for that."""

DAY_OF_HOURS = 4.0
"""Size of a day over size of its hours, before days are known: 1 if all its hours rose and fell
together, 24 if each did so on its own."""

# Of a topic's stories, the share that is negative: as if 4 of 16 had been, and spreading by 0.05.
PRIOR_NEGATIVE, PRIOR_STORIES = 4.0, 16.0
PRIOR_SPREAD, PRIOR_PAIRS = 0.05, 200.0

SHARE_STORIES = 20
"""An hour tells no more of the spread than so many stories, or one burst would decide it."""

MAX_SPREAD = 0.1
"""Beyond that hardly any share would be out of the ordinary."""

UNSEEN = 0.3
"""Added to the inverse size in hours of the week that have never been seen; to that of a day, as
far as what is expected of it lies in such hours."""

CAP = 0.999
"""An hour counts at most as this quantile of what was expected, so that one burst does not raise
the rate so far that it hides the next."""

FIRST_HOURS = 24
"""Hours of which only the counts are learned. What was expected of them is the prior's, of a busy
topic hardly anything: it caps nothing, and what they differ from it by tells neither how much the
topic varies nor that its last days exceed the rest."""


class Prior(NamedTuple):
    """What a topic is taken for until it has shown itself: see ``alerts.pool``."""

    rate: float = PRIOR_RATE
    """negative stories an hour"""
    rhythm: tuple[float, ...] = (1.0,) * WEEK
    """by hour of the week, 1 on average"""
    share: float = PRIOR_NEGATIVE / PRIOR_STORIES
    """of stories that are negative"""


NOTHING_KNOWN = Prior()


class Seen(NamedTuple):
    """A closed hour of a topic; stories are distinct."""

    stories: int
    negative: tuple[int, ...]
    """negative stories in each of the hour's twelfths"""


class Forecast(NamedTuple):
    """What is expected of windows that begin in one hour, from the hours before it."""

    now: float
    """negative stories in the hour itself"""
    next: float
    """in the one after it"""
    day: float
    """in the 24 from it on"""
    then: float
    """in the one after those"""
    sizes: tuple[float, float, float, float]
    """size of the negative binomial by ``LENGTHS``; small is overdispersed"""
    share: float
    """of stories that are negative"""
    spread: float
    """how much that share varies: correlation between two stories of a window, 0 to 1"""

    def expected(self, start: int, seconds: int) -> float:
        """Mean of a window that begins at ``start``, in this forecast's hour.

        Raises:
            ValueError: a length there is no forecast for.
        """
        part = start % HOUR / HOUR
        if seconds == DAY * HOUR:
            return self.day + part * (self.then - self.now)
        if seconds not in LENGTHS:
            raise ValueError(f"no forecast for windows of {seconds} s")
        length = seconds / HOUR
        inside = min(length, 1.0 - part)
        return inside * self.now + (length - inside) * self.next

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> Forecast:
        """A stored forecast: its fields in their order."""
        now, following, day, then, sizes, share, spread = values[:7]
        return cls(now, following, day, then, tuple(sizes), share, spread)

    def size(self, seconds: int) -> float:
        """Size of the negative binomial of that window length."""
        return self.sizes[LENGTHS.index(seconds)]


def _zeros() -> list[float]:
    return [0.0] * WEEK


@dataclass
class Baseline:
    """Decayed sums over closed hours."""

    memory_hours: float
    day_types_apart: bool = False
    """Whether working days and weekends have levels of their own besides their rhythms: right for
    what stops at weekends, such as the documents of a source. Of a topic's few negative stories it
    believes too much (twice the budget at ten documents an hour)."""
    hours: int = 0
    """hours learned, undecayed"""
    counts: list[float] = field(default_factory=_zeros)
    """negative stories by hour of the week, of Monday on"""
    weights: list[float] = field(default_factory=_zeros)
    """hours seen, likewise"""
    recent: float = 0.0
    recent_expected: float = 0.0
    excess: list[float] = field(default_factory=lambda: [0.0] * len(PARTS))
    """squared residuals beyond Poisson's, of windows up to an hour"""
    squares: list[float] = field(default_factory=lambda: [0.0] * len(PARTS))
    """squared expectations of the same"""
    day_excess: float = 0.0
    day_squares: float = 0.0
    days: float = 0.0
    today: list[float] = field(default_factory=list)
    """of a day under way: hour it began, hours so far, stories, expected ones"""
    stories: float = 0.0
    negative: float = 0.0
    share_excess: float = 0.0
    share_pairs: float = 0.0

    # Learning

    def learn(self, hour: int, seen: Seen, forecast: Forecast) -> None:
        """Take in a closed hour (its number since 1970), of which this was the forecast."""
        total = sum(seen.negative)
        capped = float(total)
        if self.hours >= FIRST_HOURS:
            capped = min(capped, float(quantile(CAP, forecast.now, forecast.sizes[2])))
            self._learn_spread(hour, forecast, seen.negative, capped)
            self._learn_recent(forecast, capped)
        self._learn_share(seen.stories, total, forecast)

        at = hour_of_week(hour)
        keep = math.exp(-WEEK / self.memory_hours)
        self.counts[at] = _short(keep * self.counts[at] + capped)
        self.weights[at] = _short(keep * self.weights[at] + 1.0)
        self.hours += 1

    def _learn_recent(self, forecast: Forecast, capped: float) -> None:
        keep = math.exp(-1.0 / RECENT_HOURS)
        factor = self.recent_factor()
        self.recent = keep * self.recent + capped
        self.recent_expected = keep * self.recent_expected + forecast.now / factor

    def _learn_spread(
        self, hour: int, forecast: Forecast, slots: Sequence[int], capped: float
    ) -> None:
        keep = math.exp(-1.0 / self.memory_hours)
        total = sum(slots)
        scale = capped / total if total else 1.0
        for i, parts in enumerate(PARTS):
            width = SLOTS // parts
            mean = forecast.now / parts
            self.excess[i] *= keep
            self.squares[i] = keep * self.squares[i] + parts * mean * mean
            for part in range(parts):
                count = scale * sum(slots[part * width : (part + 1) * width])
                self.excess[i] += (count - mean) ** 2 - mean
        if not self.today or self.today[0] + self.today[1] != hour:
            self.today = [hour, 0, 0.0, forecast.day]
        self.today[1] += 1
        self.today[2] += capped
        if self.today[1] == DAY:
            _, _, count, mean = self.today
            keep = math.exp(-DAY / self.memory_hours)
            self.day_excess = keep * self.day_excess + (count - mean) ** 2 - mean
            self.day_squares = keep * self.day_squares + mean * mean
            self.days = keep * self.days + 1.0
            self.today = []

    def _learn_share(self, stories: int, negative: int, forecast: Forecast) -> None:
        stories = max(stories, negative)  # see spikes.judge
        keep = math.exp(-1.0 / self.memory_hours)
        variance = forecast.share * (1.0 - forecast.share)
        some = min(stories, SHARE_STORIES)
        residual = some * (negative / stories - forecast.share) if stories else 0.0
        # With fewer stories than there were, the count's own variance is smaller as well.
        own = some * variance * (some / stories if stories else 0.0)
        self.share_excess = keep * self.share_excess + residual**2 - own
        self.share_pairs = keep * self.share_pairs + some * max(some - 1, 0) * variance
        self.stories = keep * self.stories + stories
        self.negative = keep * self.negative + negative

    # Expecting

    def rate(self, prior: Prior = NOTHING_KNOWN) -> float:
        """Mean distinct negative stories an hour, were all hours of the week seen alike."""
        seen: float = sum(map(operator.mul, self.weights, prior.rhythm))
        return (sum(self.counts) + PRIOR_STORY) / (seen + PRIOR_STORY / prior.rate)

    def rates(self, first: int, hours: int, prior: Prior = NOTHING_KNOWN) -> list[float]:
        """What is expected in each of so many hours, the first of that number since 1970."""
        factor, mean = self.recent_factor(), self.rate(prior)
        worth = self._worth(mean)
        working = self._rhythm(WORKING, mean, worth, prior)
        weekend = self._rhythm(WEEKEND, mean, worth, prior)
        at, rates = hour_of_week(first), []
        for ahead in range(at, at + hours):
            place = ahead % WEEK
            of_day = (working if place < len(WORKING) * DAY else weekend)[place % DAY]
            daily = mean * prior.rhythm[place] * of_day
            counts, weights = worth * self.counts[place], worth * self.weights[place]
            known = (counts + WEEK_SHRINK) / (daily * weights + WEEK_SHRINK)
            rates.append(factor * daily * known)
        return rates

    def forecast(self, hour: int, prior: Prior = NOTHING_KNOWN) -> Forecast:
        """What windows that begin in that hour are expected to hold."""
        rates = self.rates(hour, DAY + 1, prior)
        share = (self.negative + prior.share * PRIOR_STORIES) / (self.stories + PRIOR_STORIES)
        spread = (max(self.share_excess, 0.0) + PRIOR_SPREAD * PRIOR_PAIRS) / (
            self.share_pairs + PRIOR_PAIRS
        )
        return Forecast(
            _short(rates[0]),
            _short(rates[1]),
            _short(sum(rates[:DAY])),
            _short(rates[DAY]),
            self._sizes(hour_of_week(hour), self._worth(self.rate(prior)), rates[:DAY]),
            _short(share),
            _short(min(spread, MAX_SPREAD)),
        )

    def recent_factor(self) -> float:
        """By how much the last days exceed the rest."""
        low, high = RECENT_BOUNDS
        factor = (self.recent + RECENT_SHRINK) / (self.recent_expected + RECENT_SHRINK)
        return min(max(factor, low), high)

    def _worth(self, mean: float) -> float:
        """What a story tells of the rate; 1 if counts were Poisson.

        An overdispersed hour tells no more than so many stories as its size, however many it has.
        """
        return 1.0 / (1.0 + mean * self._hourly_excess(2))

    def _hourly_excess(self, which: int) -> float:
        """Fitted inverse size of windows up to an hour."""
        prior = PRIOR_SIZE_HOURS / PARTS[which]
        known = max(self.excess[which], 0.0) + prior / PRIOR_SIZE
        return known / (self.squares[which] + prior)

    def _rhythm(self, days: range, mean: float, worth: float, prior: Prior) -> list[float]:
        """Rates by hour of such days, over those of the prior's rhythm around this mean."""
        counts, expected = [0.0] * DAY, [0.0] * DAY
        for day in days:
            for hour, place in enumerate(range(day * DAY, (day + 1) * DAY)):
                counts[hour] += worth * self.counts[place]
                expected[hour] += worth * mean * self.weights[place] * prior.rhythm[place]
        level = 1.0
        if self.day_types_apart:
            level = (sum(counts) + DAY_SHRINK) / (sum(expected) + DAY_SHRINK)
        return [
            level * (count + DAY_SHRINK) / (level * mean + DAY_SHRINK)
            for count, mean in zip(counts, expected, strict=True)
        ]

    def _sizes(
        self, at: int, worth: float, rates: Sequence[float]
    ) -> tuple[float, float, float, float]:
        """Sizes by ``LENGTHS``: what was fitted, and that the rate is known only so well."""
        hourly = [self._hourly_excess(i) for i in range(len(PARTS))]
        square = self.day_squares / self.days if self.days else 1.0
        off = square * (PRIOR_SIZE_DAYS * hourly[2] / DAY_OF_HOURS + PRIOR_OFF)
        daily = (max(self.day_excess, 0.0) + off) / (self.day_squares + PRIOR_SIZE_DAYS * square)
        days = WORKING if at < len(WORKING) * DAY else WEEKEND
        same_hour = sum(self.counts[day * DAY + at % DAY] for day in days)
        mean_unsure = 1.0 / (worth * sum(self.counts) + 1.0)
        hour_unsure = mean_unsure + 1.0 / (worth * same_hour + DAY_SHRINK)
        if not self.weights[at]:
            hour_unsure += UNSEEN
        unseen = sum(
            rate for ahead, rate in enumerate(rates) if not self.weights[(at + ahead) % WEEK]
        )
        day_unsure = mean_unsure + UNSEEN * (unseen / sum(rates)) ** 2
        unsure = (hour_unsure, hour_unsure, hour_unsure, day_unsure)
        five, fifteen, hour, day = (
            _short(1.0 / max(a + b, 1e-3)) for a, b in zip((*hourly, daily), unsure, strict=True)
        )
        return five, fifteen, hour, day

    # State

    def to_json(self) -> dict[str, Any]:
        """State that survives a restart."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any], memory_hours: float) -> Baseline:
        """The baseline of a stored state, under the present settings."""
        known = {each.name: data[each.name] for each in fields(cls) if each.name in data}
        return cls(**{**known, "memory_hours": memory_hours})


def hour_of_week(hour: int) -> int:
    """0 to 167, from Monday 00:00 UTC on, of an hour since 1970, which began on a Thursday."""
    return (hour + 3 * DAY) % WEEK


def _short(value: float) -> float:
    """Five digits: nobody needs more of them, and there are hundreds to store for each topic."""
    return float(f"{value:.5g}")
