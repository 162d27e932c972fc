"""``barograph send``: the documents of a file, to Kafka."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from kafka.errors import KafkaError, MessageSizeTooLargeError
from tqdm import tqdm

from stream.clients import producer
from stream.rows import STDIN, keyed_rows
from stream.settings import Settings
from stream.topics import require

IN_FLIGHT = 20_000
"""Documents on their way at most; the client's own buffer has no bound."""


class SendError(Exception):
    """Documents could not be sent; the message says up to which line they were."""


@dataclass(frozen=True)
class SendReport:
    """What became of a file's rows.

    ``sent`` documents are acknowledged by every replica in sync; ``skipped`` ones are too large
    for Kafka, and ``skipped_lines`` says where the first of them stand.
    """

    sent: int
    skipped: int
    skipped_lines: tuple[int, ...]
    seconds: float


def send(
    path: Path,
    settings: Settings,
    progress: bool = True,
    limit: int | None = None,
    source: str | None = None,
) -> SendReport:
    """Send the rows of a file to the documents topic, keyed by id, else by source.

    A row that is no document is sent as it is, and becomes a dead letter with its reason.

    Args:
        path: JSON lines or CSV, gzip-compressed or not; ``-`` is standard input.
        settings: where Kafka is, and the topic's name.
        progress: show a bar when standard error is a terminal.
        limit: send so many rows at most.
        source: the source of rows that name none.

    Raises:
        RowsError: the file cannot be read.
        BrokerUnreachable: no broker answers.
        TopicError: the topic does not exist.
        SendError: the broker stopped taking documents.
    """
    kafka = settings.kafka
    topic = kafka.topics.documents
    require(kafka, topic)
    started = time.monotonic()
    tally = _Tally()
    skipped: list[int] = []
    size = path.stat().st_size if path != STDIN and path.is_file() else None
    bar = tqdm(
        total=size,
        unit="B",
        unit_scale=True,
        desc=f"{path.name} to {topic}",
        disable=None if progress else True,
    )
    with bar, producer(kafka) as client:

        def read(position: int) -> None:
            bar.update(position - bar.n)
            bar.set_postfix(documents=tally.sent, refresh=False)

        for count, row in enumerate(keyed_rows(path, source, read), start=1):
            if limit is not None and count > limit:
                break
            tally.room.acquire()
            if tally.error:
                break
            try:
                future = client.send(topic, value=row.value, key=row.key)
            except MessageSizeTooLargeError:
                tally.room.release()
                skipped.append(row.line)
                continue
            future.add_callback(tally.acknowledged)
            future.add_errback(tally.failed)
        client.flush()
        if size is not None and not tally.error:
            read(size)
    if tally.error:
        raise SendError(f"{tally.sent} documents sent, then Kafka said: {tally.error}")
    return SendReport(tally.sent, len(skipped), tuple(skipped[:10]), time.monotonic() - started)


class _Tally:
    """Counts what Kafka answers, in the client's thread."""

    def __init__(self) -> None:
        self.sent = 0
        self.error: KafkaError | None = None
        self.room = threading.Semaphore(IN_FLIGHT)

    def acknowledged(self, _: object) -> None:
        self.sent += 1
        self.room.release()

    def failed(self, error: KafkaError) -> None:
        self.error = self.error or error
        self.room.release()
