"""Raw messages in; scored documents, slices and dead letters out. Pure but for the classifier."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from alerts.records import ModelName, utc
from model.labels import SENTIMENTS, Sentiment, slug
from stream.authors import hashed
from stream.evidence import evidence_of
from stream.novelty import signature
from stream.records import (
    NEGATIVE_FROM,
    Document,
    Monitored,
    ScoredDocument,
    SentimentScore,
    TopicScore,
)
from stream.slices import AUTHOR, SCALE, WEIGHT, Entry, Mark, Progress, Read, Slice, slices_of
from stream.watchlist import Mention, Watchlist

MAX_AHEAD = 300
"""Seconds a document may lie ahead of its arrival before its clock is not believed."""

MAX_BYTES = 1_000_000
"""Size of the largest message that is parsed at all."""

FAULTS = ("empty", "too-large", "encoding", "json", "schema", "fault")
"""What can be wrong with a message: the codes of dead letters.

The last is ours: a document the scorer fails on, which must not keep the others waiting for ever.
"""


class Score(Protocol):
    """What a classifier says of one text."""

    @property
    def sentiment(self) -> Sentiment: ...
    @property
    def probabilities(self) -> tuple[float, float, float]: ...
    @property
    def topic(self) -> str: ...
    @property
    def topic_probability(self) -> float: ...
    @property
    def lang(self) -> str: ...


class TextClassifier(Protocol):
    """Anything that scores texts, in their order."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def takes_targets(self) -> bool: ...
    def classify(
        self, texts: Sequence[str], targets: Sequence[str | None] | None = None
    ) -> Sequence[Score]: ...


@dataclass(frozen=True)
class Raw:
    """A message of the documents topic."""

    partition: int
    offset: int
    value: bytes | None
    arrived: float | None
    """seconds since 1970; None where no clock is, as in replay"""
    key: bytes | None = None


@dataclass(frozen=True)
class DeadLetter:
    """A message that is no document, and why."""

    raw: Raw
    reason: str
    code: str
    """the kind of fault, of a small set"""


@dataclass
class Batch:
    """What became of some messages; every one is in ``scored`` or in ``dead``."""

    scored: list[tuple[Raw, ScoredDocument]] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    progress: Progress | None = None
    dead: list[DeadLetter] = field(default_factory=list)
    clamped: int = 0


class BadDocument(Exception):
    """The bytes are no document."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def parse(value: bytes | None) -> Document:
    """The document of these bytes.

    Raises:
        BadDocument: with one of the ``FAULTS`` and a reason in words.
    """
    if not value:
        raise BadDocument("empty", "the message is empty")
    if len(value) > MAX_BYTES:
        raise BadDocument("too-large", f"{len(value)} bytes, at most {MAX_BYTES} are taken")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadDocument("encoding", f"not UTF-8 at byte {error.start}") from None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also of a number of 5,000 digits
        raise BadDocument("json", f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadDocument("json", f"a JSON {type(data).__name__}, not an object")
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        # Half a surrogate pair is a valid JSON escape but no text that can be stored or sent.
        code = "encoding" if first["type"] == "string_unicode" else "schema"
        raise BadDocument(code, f"{where}: {first['msg']}") from None


class Scorer:
    """Turns raw messages into batches."""

    def __init__(
        self,
        classifier: TextClassifier,
        watchlist: Watchlist,
        author_key: bytes,
        weights: Mapping[str, float] | None = None,
        negative_from: float = NEGATIVE_FROM,
    ) -> None:
        """Make a scorer.

        Args:
            classifier: what scores texts.
            watchlist: what documents may count for besides their class.
            author_key: key of the hash that stands for an author's handle.
            weights: by source, how much its documents count, whatever they say themselves.
            negative_from: probability of negative from which a text tells a negative story.
        """
        self.classifier = classifier
        self.watchlist = watchlist
        self.model = ModelName(name=classifier.name, version=classifier.version)
        self._author_key = author_key
        self._weights = weights or {}
        self._negative_from = negative_from
        self._newest: datetime | None = None

    def score(self, raws: Sequence[Raw], now: float | None) -> Batch:
        """Score messages, which stand in the order of their offsets.

        Args:
            raws: the messages.
            now: the wall clock, seconds; None in replay, where event time stands for it.
        """
        batch = Batch()
        documents: list[tuple[Raw, Document, datetime]] = []
        for raw in raws:
            try:
                document = parse(raw.value)
                time, clamped = self._event_time(document, raw)
            except BadDocument as error:
                batch.dead.append(DeadLetter(raw, str(error), error.code))
                continue
            batch.clamped += clamped
            documents.append((raw, document, time))
        mentions = [
            self.watchlist.mentions(document.content, document.tags) for _, document, _ in documents
        ]
        scores, towards = self._classify([d.content for _, d, _ in documents], mentions)
        entries: list[tuple[str, Entry]] = []
        for at, (raw, document, time) in enumerate(documents):
            found = [(m.topic, towards.get((at, m.name), scores[at])) for m in mentions[at]]
            scored = self._scored(raw, document, time, scores[at], found, now)
            batch.scored.append((raw, scored))
            entries += self._entries(raw, scored)
        batch.slices = slices_of(entries, self.model)
        batch.progress = self._progress(batch.scored, now)
        return batch

    def _classify(
        self, texts: Sequence[str], mentions: Sequence[Sequence[Mention]]
    ) -> tuple[Sequence[Score], dict[tuple[int, str | None], Score]]:
        """Scores of texts, and by text and name those towards what a text says of several.

        A text about one entry is scored as a whole: what it says, it says of that one.
        """
        asked: list[tuple[int, str | None]] = []
        if self.classifier.takes_targets:
            for at, found in enumerate(mentions):
                names = dict.fromkeys(m.name for m in found if m.name is not None)
                if len(names) > 1:
                    asked += ((at, name) for name in names)
        scores = self.classifier.classify(
            [*texts, *(texts[at] for at, _ in asked)],
            [*(None for _ in texts), *(name for _, name in asked)],
        )
        return scores[: len(texts)], dict(zip(asked, scores[len(texts) :], strict=True))

    def score_singly(self, raws: Sequence[Raw], now: float | None) -> Batch:
        """Score messages that failed together one by one: what still fails is a dead letter."""
        whole = Batch()
        for raw in raws:
            try:
                batch = self.score([raw], now)
            except Exception as error:
                reason = f"the scorer failed: {type(error).__name__}: {error}"
                whole.dead.append(DeadLetter(raw, reason, "fault"))
                continue
            whole.dead += batch.dead
            whole.clamped += batch.clamped
            whole.scored += batch.scored
        entries = [entry for raw, scored in whole.scored for entry in self._entries(raw, scored)]
        whole.slices = slices_of(entries, self.model)
        whole.progress = self._progress(whole.scored, now)
        return whole

    def _event_time(self, document: Document, raw: Raw) -> tuple[datetime, bool]:
        """Event time, and whether it had to be set: one bad clock must not push the stream's."""
        time = document.published_at
        if raw.arrived is not None:
            arrived = utc(raw.arrived)
            if time is None or (time - arrived).total_seconds() > MAX_AHEAD:
                return arrived, True
            return time, False
        if time is None:
            if self._newest is None:
                raise BadDocument("schema", "published_at: needed where no document came before")
            return self._newest, True
        self._newest = time if self._newest is None else max(self._newest, time)
        return time, False

    def _scored(
        self,
        raw: Raw,
        document: Document,
        time: datetime,
        score: Score,
        watched: Sequence[tuple[str, Score]],
        now: float | None,
    ) -> ScoredDocument:
        sentiment = _sentiment(score)
        monitored = [(f"class:{slug(score.topic)}", sentiment)]
        monitored += (
            (topic, sentiment if towards is score else _sentiment(towards))
            for topic, towards in watched
        )
        author = None if document.author is None else hashed(document.author, self._author_key)
        return ScoredDocument.model_construct(
            **{
                **dict(document),
                "author": author,
                "weight": self._weight(document),
                "lang": document.lang or score.lang,
                "ingested_at": time if raw.arrived is None else utc(raw.arrived),
                "event_time": time,
                "scored_at": time if now is None else utc(now),
                "sentiment": sentiment,
                "topic": TopicScore.model_construct(
                    label=score.topic, probability=score.topic_probability
                ),
                "monitored": tuple(
                    Monitored.model_construct(topic=topic, sentiment=towards)
                    for topic, towards in monitored
                ),
                "story": signature(document.content),
                "model": self.model,
            }
        )

    def _weight(self, document: Document) -> float:
        return self._weights.get(
            document.source, 1.0 if document.weight is None else document.weight
        )

    def _entries(self, raw: Raw, scored: ScoredDocument) -> Iterable[tuple[str, Entry]]:
        who = scored.author or scored.source
        source = hashlib.blake2b(who.encode(), digest_size=4).hexdigest()
        if scored.author:
            source = AUTHOR + source
        time = int(scored.event_time.timestamp())
        weight = _thousandths(scored.weight)
        for monitored in scored.monitored:
            sentiment = monitored.sentiment
            label = SENTIMENTS.index(sentiment.label)
            negative = self._tells_negative(sentiment)
            evidence = None
            if negative and weight:
                evidence = evidence_of(
                    scored.id,
                    scored.title or scored.text,
                    scored.url,
                    scored.source,
                    time,
                    sentiment.negative,
                    scored.author,
                )
                if weight != WEIGHT:
                    evidence["weight"] = weight / WEIGHT
            yield (
                monitored.topic,
                Entry(
                    raw.partition,
                    raw.offset,
                    time,
                    label,
                    round((sentiment.positive - sentiment.negative) * SCALE),
                    scored.story,
                    source,
                    evidence,
                    weight,
                    None if negative == (label == 0) else negative,
                ),
            )

    def _tells_negative(self, sentiment: SentimentScore) -> bool:
        return sentiment.negative >= self._negative_from

    def _progress(
        self, scored: Sequence[tuple[Raw, ScoredDocument]], now: float | None
    ) -> Progress | None:
        if not scored:
            return None
        newest: dict[int, int] = {}
        sources: dict[str, int] = {}
        read = []
        for raw, document in scored:
            time = int(document.event_time.timestamp())
            newest[raw.partition] = max(newest.get(raw.partition, time), time)
            source = sources.setdefault(document.source, len(sources))
            # What makes no spike teaches nothing of what is usual; its source is heard all the
            # same.
            counted = document.monitored if document.weight != 0 else ()
            negative = sum(self._tells_negative(m.sentiment) for m in counted)
            read.append(Read(raw.partition, raw.offset, time, source, len(counted), negative))
        arrived = float(max(newest.values())) if now is None else now
        marks = {partition: Mark(time, arrived) for partition, time in newest.items()}
        return Progress(marks, tuple(read), tuple(sources))


def _sentiment(score: Score) -> SentimentScore:
    negative, neutral, positive = score.probabilities
    return SentimentScore.model_construct(
        label=score.sentiment, negative=negative, neutral=neutral, positive=positive
    )


def _thousandths(weight: float | None) -> int:
    """A weight in integers; one that is over 0 stays so."""
    if weight is None:
        return WEIGHT
    return max(round(weight * WEIGHT), 1) if weight else 0
