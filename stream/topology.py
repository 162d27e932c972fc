"""The worker: the Faust application with its two agents, and nothing but the wiring of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn, cast

import faust
import structlog
from faust.types import TP, EventT, StreamT

from alerts.records import Alert
from alerts.versions import StateRefused
from stream.aggregator import Aggregator, AggregatorConfig, Output
from stream.clients import servers
from stream.dead_letters import headers
from stream.metrics import Metrics
from stream.offsets import Offsets, Taken
from stream.publisher import Outgoing, Publisher
from stream.reads import Consumer
from stream.scorer import Batch, Raw, Scorer
from stream.security import client_options, ssl_context
from stream.settings import Security, Settings
from stream.slices import Tick, decode, encode
from stream.stalls import RecoveryWatch
from stream.topics import TABLE_CONFIGS, tables
from stream.watchlist import WatchlistError, changed_at, load
from stream.watermarks import BEAT

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0

COMMIT_SECONDS = 1.0
"""What a worker that was killed did in this time is read again, and passed over as known."""

HAND_OVER_SECONDS = 10.0
"""What is in hand when partitions go to another worker, or this one ends, may take so long to be
finished; beyond that it is left to be read again."""

COMMIT_TIMEOUT = 5.0
"""Seconds that the commit of it may take."""

EXIT_REFUSED = 1
"""Exit status when the tables are of a version that this one does not read."""

EXIT_FAULT = 70
"""Exit status after a fault of the program itself (EX_SOFTWARE of sysexits.h)."""

FETCH_BYTES = 64 * 1024
"""Of a partition at a time; a larger message still comes, alone."""


class Topology:
    """One worker's Faust app and what its agents work with."""

    def __init__(
        self,
        settings: Settings,
        scorer: Scorer,
        configure: Callable[[], AggregatorConfig],
        metrics: Metrics,
    ) -> None:
        """Wire everything up; nothing is started, nothing connects.

        ``configure`` is asked anew whenever the scorer's watchlist has changed.
        """
        self.settings = settings
        self.scorer = scorer
        self.configure = configure
        self.config = configure()
        self._watchlist_changed = changed_at(settings.watchlist)
        self.metrics = metrics
        self.aggregators: dict[int, Aggregator] = {}
        self._heard: dict[int, float] = {}
        self._has_consumer = False
        self._handing_over = False
        self._offsets: Offsets[TP] = Offsets()
        self._committing = asyncio.Lock()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="score")
        self._publisher: Publisher | None = None
        # Nothing is stored there; Faust wants a folder all the same.
        self.datadir = tempfile.mkdtemp(prefix="barograph-")
        kafka = settings.kafka
        self.app = faust.App(
            kafka.app_id,
            broker=[f"kafka://{server}" for server in servers(kafka.bootstrap)],
            broker_credentials=_credentials(kafka.security),
            store="memory://",
            datadir=self.datadir,
            autodiscover=False,
            web_enabled=False,
            processing_guarantee="at_least_once",
            topic_partitions=kafka.partitions,
            topic_replication_factor=kafka.replication_factor,
            topic_disable_leader=True,
            table_standby_replicas=0,
            stream_wait_empty=False,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=kafka.session_timeout,
            broker_heartbeat_interval=kafka.session_timeout / 4,
            broker_rebalance_timeout=kafka.rebalance_timeout,
            broker_request_timeout=max(40.0, kafka.rebalance_timeout + 10, kafka.session_timeout),
            # One consumer reads both topics and hands on all it fetched before it fetches again, so
            # a large fetch of documents would keep the slices waiting behind it during a backlog.
            consumer_max_fetch_size=FETCH_BYTES,
            producer_linger=0.02,
        )
        self.app.transport.Consumer = Consumer
        self._watch = RecoveryWatch(self.app, partial(_reachable, kafka.bootstrap))
        raw: dict[str, Any] = {
            "key_type": bytes,
            "value_type": bytes,
            "key_serializer": "raw",
            "value_serializer": "raw",
            "allow_empty": True,
            "acks": False,  # offsets are committed here, see Offsets
        }
        self._documents = self.app.topic(kafka.topics.documents, **raw)
        self._slices = self.app.topic(kafka.topics.slices, **raw)
        table: dict[str, Any] = {
            "partitions": kafka.partitions,
            "extra_topic_configs": TABLE_CONFIGS,
        }
        names = tables(kafka)
        self.panes = self.app.Table(names["panes"], **table)
        self.states = self.app.Table(names["states"], **table)
        self.app.agent(self._documents, name="score", concurrency=1)(self._score)
        self.app.agent(self._slices, name="aggregate", concurrency=1)(self._aggregate)
        self.app.timer(TICK_SECONDS, name="tick")(self._tick)
        self.app.timer(COMMIT_SECONDS, name="commit-offsets")(self._commit)
        self.app.on_partitions_revoked.connect(self._give_back, weak=False)
        self.app.on_partitions_assigned.connect(self._begin, weak=False)
        self.app.on_rebalance_complete.connect(self._hold, weak=False)
        self.app.on_before_shutdown.connect(self._shutdown, weak=False)

    # Scoring

    async def _score(self, stream: StreamT[bytes]) -> None:
        worker = self.settings.worker
        async for events in stream.take_events(worker.batch_size, within=worker.batch_wait):
            # What was read before a rebalance is read again after it, perhaps by another worker.
            events = [event for event in events if self._is_current(event)]
            if not events:
                continue
            taken = [self._take(event) for event in events]
            raws = [raw_of(event) for event in events]
            started = time.monotonic()
            try:
                try:
                    batch = await self._in_thread(self.scorer.score, raws)
                except Exception:
                    log.exception("batch-failed", size=len(raws))
                    batch = await self._in_thread(self.scorer.score_singly, raws)
                await self._publish(self._outgoing(batch))
            except Exception:
                _give_up("scorer-failed")
            for message in taken:
                message.done = True
            self.metrics.scored_batch(batch, len(raws), time.monotonic() - started, time.time())

    async def _in_thread(
        self, score: Callable[[list[Raw], float | None], Batch], raws: list[Raw]
    ) -> Batch:
        """Score beside the event loop, which must go on to tell the broker that it lives."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, score, raws, time.time())

    def _outgoing(self, batch: Batch) -> list[Outgoing]:
        topics = self.settings.kafka.topics
        out = []
        for letter in batch.dead:
            raw = letter.raw
            origin = headers(letter.reason, topics.documents, raw.partition, raw.offset)
            out.append(Outgoing(topics.dead_letters, raw.key, raw.value or b"", 0, tuple(origin)))
        for _, document in batch.scored:
            out.append(Outgoing(topics.scored, document.id.encode(), document.to_json()))
        for piece in batch.slices:
            out.append(Outgoing(topics.slices, piece.topic.encode(), encode(piece)))
        if batch.progress is not None:
            value = encode(batch.progress)
            for partition in range(self.settings.kafka.partitions):
                out.append(Outgoing(topics.slices, None, value, partition))
        return out

    # Aggregation

    async def _aggregate(self, stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            if self._handing_over:
                continue
            taken = self._take(event)
            partition = event.message.partition
            self._heard[partition] = time.monotonic()
            try:
                message = decode(event.value)
            except ValueError:
                # Only this program writes here; a later version's message is not ours to count.
                log.error("unknown-slice", partition=partition, offset=event.message.offset)
                taken.done = True
                continue
            try:
                aggregator = self._aggregator(partition)
                output = aggregator.handle(message)
                await self._publish(self._results(output))
                if self.aggregators.get(partition) is not aggregator:
                    # A rebalance came between: the tables are being read anew, and so is this.
                    continue
                written = asyncio.gather(*self._store(partition, output))
                if output.preliminary:
                    await written
                    await self._publish(self._alerts(output.preliminary))
            except StateRefused as error:
                log.error("state-refused", partition=partition, error=str(error))
                os._exit(EXIT_REFUSED)
            except Exception:
                _give_up("aggregator-failed", partition=partition)
            written.add_done_callback(partial(_finish, taken))
            self.metrics.late.inc(output.late)
            self.metrics.repeated.inc(output.repeated)
            for outcome in output.settled:
                self.metrics.preliminary.labels(outcome).inc()

    def _aggregator(self, partition: int) -> Aggregator:
        aggregator = self.aggregators.get(partition)
        if aggregator is None:
            aggregator = Aggregator(partition, self.config)
            aggregator.restore(self.panes.items(), self.states.items())
            self.aggregators[partition] = aggregator
        return aggregator

    def _results(self, output: Output) -> list[Outgoing]:
        topics = self.settings.kafka.topics
        out = [Outgoing(topics.windows, w.topic.encode(), w.to_json()) for w in output.windows]
        return out + self._alerts(output.alerts)

    def _alerts(self, alerts: Iterable[Alert]) -> list[Outgoing]:
        topic = self.settings.kafka.topics.alerts
        return [Outgoing(topic, alert.id.encode(), alert.to_json()) for alert in alerts]

    def _store(self, partition: int, output: Output) -> list[asyncio.Future[Any]]:
        """Write what a restart needs, in the one order that bears being cut off anywhere.

        Returns:
            What is done when Kafka has acknowledged each write.
        """
        writes: list[tuple[Any, str, Any]] = []
        writes += ((self.panes, key, record) for key, record in output.panes.items())
        writes += ((self.states, key, record) for key, record in output.states.items())
        writes += ((self.panes, key, None) for key in output.expired)
        return [_write(table, partition, key, record) for table, key, record in writes]

    # Offsets

    def _take(self, event: EventT[bytes]) -> Taken:
        return self._offsets.take(event.message.tp, event.message.offset)

    def _is_current(self, event: EventT[bytes]) -> bool:
        """Whether the message was read since the last rebalance, and is still this worker's."""
        same = event.message.generation_id == self.app.consumer_generation_id
        return bool(same) and not self._handing_over

    async def _commit(self) -> None:
        async with self._committing:
            if moved := self._offsets.advance():
                await self.app.consumer._commit(moved)

    async def _hand_over(self) -> None:
        """Begin nothing more, finish what is in hand, and commit it.

        Whoever reads the partitions next then has nothing to do again.
        """
        self._handing_over = True
        self._watch.end()
        deadline = time.monotonic() + min(
            HAND_OVER_SECONDS, self.settings.kafka.rebalance_timeout / 2
        )
        while (left := self._offsets.in_work) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if left:
            log.warning("not-finished", messages=left, reason="they will be read again")
        try:
            await asyncio.wait_for(self._commit(), COMMIT_TIMEOUT)
        except TimeoutError:
            log.warning("not-committed", reason="Kafka does not answer: some will be read again")

    async def _give_back(self, app: Any, partitions: set[TP], **_: Any) -> None:
        """The partitions are about to be shared out anew, and none is anybody's until then."""
        await self._hand_over()
        self._forget()

    async def _begin(self, app: Any, partitions: set[TP], **_: Any) -> None:
        """Begin anew: state comes from the tables, messages from what is committed on."""
        self._has_consumer = True
        self._handing_over = False
        self._forget()
        self._watch.begin()

    def _forget(self) -> None:
        self._offsets.clear()
        self.aggregators.clear()
        self._heard.clear()
        self.metrics.forget_partitions()
        self.metrics.topics(())

    async def _hold(self, app: Any, **_: Any) -> None:
        """Read nothing until Faust has gone to the committed offsets.

        It lets messages in before, and then throws away those that came meanwhile (its issue 596).
        It ends the hold itself, once it has gone there.
        """
        self.app.consumer.stop_flow()

    # Around them

    async def _publish(self, messages: list[Outgoing]) -> None:
        if self._publisher is None:
            kafka = self.settings.kafka
            options = client_options(kafka.security)
            self._publisher = Publisher(",".join(servers(kafka.bootstrap)), **options)
        await self._publisher.publish(messages)

    async def _tick(self) -> None:
        """Tell the clock to partitions that hear nothing else, and show the metrics."""
        if self._handing_over or not self.ready()["partitions"]:
            return
        now = time.monotonic()
        ticks = []
        for place in self._assigned():
            if place.topic == self.settings.kafka.topics.slices:
                heard = self._heard.setdefault(place.partition, now)
                if now - heard >= BEAT:
                    self._heard[place.partition] = now
                    ticks.append(
                        Outgoing(place.topic, None, encode(Tick(time.time())), place.partition)
                    )
        await self._publish(ticks)
        await self._follow_watchlist()
        self.metrics.topics(self.aggregators.values())
        self._show_lag()

    async def _follow_watchlist(self) -> None:
        """Take up an edited watchlist; a wrong one is named in the log, and the old one stays."""
        path = self.settings.watchlist
        changed = changed_at(path)
        if changed is None or changed == self._watchlist_changed:
            return
        self._watchlist_changed = changed
        loop = asyncio.get_running_loop()
        try:
            self.scorer.watchlist = await loop.run_in_executor(None, load, path)
        except WatchlistError as error:
            log.error("watchlist-not-taken", error=str(error))
            return
        self.config = self.configure()
        for aggregator in self.aggregators.values():
            aggregator.configure(self.config)
        log.info("watchlist-taken", entries=len(self.scorer.watchlist.entries))

    def _show_lag(self) -> None:
        consumer = self.app.consumer
        for place in self._assigned():
            end = consumer.highwater(place)
            if end is None:
                continue
            done = self._offsets.next(place)
            if done is None:  # nothing since the last rebalance
                done = consumer._committed_offset.get(place) or 0
            self.metrics.lag.labels(place.topic, str(place.partition)).set(max(end - done, 0))

    def _assigned(self) -> set[TP]:
        topics = self.settings.kafka.topics
        return {
            place
            for place in self.app.consumer.assignment()
            if place.topic in (topics.documents, topics.slices)
        }

    def ready(self) -> Mapping[str, bool]:
        """What ``/readyz`` asks for, in a thread of its own."""
        if not self._has_consumer:
            # Asked for it, Faust makes it on the spot, with an event loop of the thread that asks:
            # the worker then fails to start, and stands still.
            return {"partitions": False, "model": True, "broker": False}
        with contextlib.suppress(Exception):
            return {
                "partitions": bool(self._assigned()) and not self.app.in_recovery,
                "model": True,
                "broker": _reachable(self.settings.kafka.bootstrap),
            }
        return {"partitions": False, "model": True, "broker": False}

    async def _shutdown(self, app: Any, **_: Any) -> None:
        """Faust reads no more by now, and still writes: it leaves the group after this."""
        await self._hand_over()
        if self._publisher is not None:
            await self._publisher.stop()


def _write(table: Any, partition: int, key: str, record: Any) -> asyncio.Future[Any]:
    """Set a table's record, None to delete it, as the table's own methods do.

    Those keep to themselves when Kafka has it, which is what is returned here.
    """
    if record is None:
        table.data.pop(key, None)
        sent = table.send_changelog(partition, key, None, value_serializer="raw")
    else:
        table.data[key] = record
        sent = table.send_changelog(partition, key, record)
    return cast("asyncio.Future[Any]", sent)


def _finish(taken: Taken, written: asyncio.Future[Any]) -> None:
    """Let the message's offset be committed, now that all that came of it is in Kafka."""
    if written.cancelled():  # the worker stops; another one reads the message again
        return
    if (error := written.exception()) is not None:
        log.error("table-not-written", error=str(error))
        os._exit(EXIT_FAULT)
    taken.done = True


def _give_up(event: str, **details: Any) -> NoReturn:
    """End the process: that is seen, it is started anew, and reads its messages again."""
    log.exception(event, **details)
    os._exit(EXIT_FAULT)


def raw_of(event: EventT[bytes]) -> Raw:
    """A message of the documents topic as the scorer takes it."""
    message = event.message
    arrived = message.timestamp or time.time()
    return Raw(message.partition, message.offset, message.value, arrived, message.key)


def _credentials(security: Security) -> Any:
    """The same as ``client_options``, as Faust wants it; None for a broker without security."""
    context = ssl_context(security)
    if security.sasl and security.password is not None:
        return faust.SASLCredentials(
            username=security.username,
            password=security.password.get_secret_value(),
            ssl_context=context,
            mechanism=security.sasl,
        )
    return faust.SSLCredentials(context) if context else None


def _reachable(bootstrap: str) -> bool:
    for server in servers(bootstrap):
        host, _, port = server.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
            return True
    return False
