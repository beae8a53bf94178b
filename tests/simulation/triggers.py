"""What makes functions run, as AWS does it: queues, the table's stream, asynchronous invocations.

Each hands over a batch, reads the answer as Lambda does, and sees to what comes again. An invocation that died is to
them one that failed.
"""

from __future__ import annotations

import json
import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from local.functions import done_in_order, failed_ids
from local.queues import Message, Queue
from local.template import QueueMapping, StreamMapping
from tests.simulation.faults import SLOW

if TYPE_CHECKING:
    from tests.simulation.world import World

ASYNC_WAITS_S = (60, 120)
"""So long Lambda waits before it tries an asynchronous invocation a second and a third time."""
STREAM_WAIT_S_MAX = 60.0
REDRIVEN_WITHIN_S = 13 * 86_400
"""A queue keeps its messages for 14 days."""


class QueueTrigger:
    """A queue that feeds a function."""

    def __init__(self, world: World, mapping: QueueMapping, queue: Queue) -> None:
        dice = world.dice
        self.queue = queue
        self.function = mapping.function
        self._world = world
        self._mapping = mapping
        self._spec = world.template.functions[mapping.function]
        self._at_once = dice.randint(1, min(mapping.concurrency_max, 6))
        self._batch = dice.choice((1, 2, mapping.batch_size, mapping.batch_size))
        self._pause_s = dice.choice((0.001, 0.05, 0.5))
        self._slow = dice.choice(SLOW) if world.faults.rates else None
        self._running = 0
        self._asked = False

    def wake(self) -> None:
        """Something may be there to receive."""
        if self.queue.ready and self._running < self._at_once and not self._asked:
            self._asked = True
            self._world.scheduler.after(self._world.dice.random() * self._pause_s, self._receive)

    def _receive(self) -> None:
        self._asked = False
        world, name = self._world, self._spec.logical_id
        if len(self.queue.ready) > 1 and world.faults.hit("reordered", name):
            world.dice.shuffle(self.queue.ready)
        if self.queue.ready:
            # SQS hands out what it finds first, which may be less than there is
            count = world.dice.randint(1, min(self._batch, self._mapping.batch_size))
            batch = self.queue.take(count, world.queues.now_ms())
            for message in batch:
                if world.faults.hit("duplicate", name):
                    twin = replace(message)
                    self._world.scheduler.after(world.dice.random() * 2, partial(self._back, twin))
            self._deliver(batch)
        self.wake()

    def _deliver(self, batch: list[Message]) -> None:
        self._running += 1
        world, seen_until = self._world, self._world.scheduler.now + self.queue.spec.visibility_s
        event = {"Records": [self.queue.record(message) for message in batch]}
        ids = [message.message_id for message in batch]

        def ended(answer: Any, error: BaseException | None) -> None:
            self._running -= 1
            failed = set(ids) if error else failed_ids(answer, set(ids), self._mapping.partial_failures)
            lost = not error and world.faults.hit("lost_delete", self._spec.logical_id)
            for message in batch:
                if lost or message.message_id in failed:
                    world.scheduler.at(seen_until, partial(self._give_back, message))
            self.wake()

        world.invoke(self._spec, event, ended, deliveries=len(batch), about=ids)

    def _give_back(self, message: Message) -> None:
        self._world.queues.give_back(self.queue, message)
        self.wake()

    def _back(self, message: Message) -> None:
        self.queue.ready.append(message)
        self.wake()

    def arrived(self, message: Message) -> None:
        """A message is in the queue now. It may be hours, or days, until it can be received."""
        if self._world.faults.hit("late", self._spec.logical_id, self._slow):
            self.queue.ready.remove(message)
            seconds = self._world.dice.choice((30, 3600, 86_400, 5 * 86_400)) * self._world.dice.random()
            self._world.scheduler.after(seconds, partial(self._back, message))
        self.wake()


class StreamTrigger:
    """A table's stream that feeds a function: shards, each of them in order and one batch at a time."""

    def __init__(self, world: World, mapping: StreamMapping) -> None:
        self.mapping = mapping
        self._world = world
        self._shards = [Shard(world, mapping) for _ in range(world.dice.choice((1, 1, 2, 3)))]

    @property
    def waiting(self) -> int:
        """How many records are not done."""
        return sum(len(shard.records) for shard in self._shards)

    def add(self, records: list[dict[str, Any]]) -> None:
        """New records, in the order in which they were committed; those of one item stay in it."""
        for record in records:
            key = record["dynamodb"]["Keys"]["pk"]["S"]
            self._shards[zlib.crc32(key.encode()) % len(self._shards)].records.append(record)
        for shard in self._shards:
            shard.wake()


class Shard:
    """One shard of a stream, with what the function has not done yet."""

    def __init__(self, world: World, mapping: StreamMapping) -> None:
        self.records: deque[dict[str, Any]] = deque()
        self._world = world
        self._mapping = mapping
        self._spec = world.template.functions[mapping.function]
        self._most = world.dice.choice((1, 3, 10, mapping.batch_size))
        self._pause_s = world.dice.choice((0.01, 0.2, 2.0))
        self._size = mapping.batch_size
        self._tries = 0
        self._busy = False

    def wake(self) -> None:
        """There may be records to hand over."""
        if self.records and not self._busy:
            self._busy = True
            self._world.scheduler.after(self._world.dice.random() * self._pause_s, self._deliver)

    def put_back(self, batch: list[dict[str, Any]]) -> None:
        """Records that were given up are to be done after all."""
        self.records.extendleft(reversed(batch))
        self.wake()

    def _deliver(self) -> None:
        world, mapping = self._world, self._mapping
        # what is tried again is what was tried before, not more of it
        size = min(self._size, self._most, len(self.records))
        batch = [self.records[place] for place in range(size)]

        def ended(answer: Any, error: BaseException | None) -> None:
            self._busy = False
            if error is not None and mapping.bisect and len(batch) > 1:
                self._size = len(batch) // 2  # to split a batch is no retry
                self.wake()
                return
            done = 0 if error is not None else done_in_order(answer, batch, mapping.partial_failures)
            if done and world.faults.hit("stream_replay", self._spec.logical_id):
                self.wake()
                return
            self._move_on(batch, done)

        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        world.invoke(self._spec, {"Records": batch}, ended, deliveries=len(batch), about=numbers)

    def _move_on(self, batch: list[dict[str, Any]], done: int) -> None:
        for _ in range(done):
            self.records.popleft()
        if done:
            self._tries, self._size = 0, self._mapping.batch_size
            self.wake()
            return
        self._tries += 1
        attempts = self._mapping.attempts
        if attempts is not None and self._tries >= attempts:
            self._give_up(batch)
            return
        self._busy = True
        self._world.scheduler.after(min(2.0**self._tries, STREAM_WAIT_S_MAX), self._deliver)

    def _give_up(self, batch: list[dict[str, Any]]) -> None:
        for _ in batch:
            self.records.popleft()
        self._tries, self._size = 0, self._mapping.batch_size
        if self._mapping.on_failure:
            numbers = [record["dynamodb"]["SequenceNumber"] for record in (batch[0], batch[-1])]
            letter = {"startSequenceNumber": numbers[0], "endSequenceNumber": numbers[1], "batchSize": len(batch)}
            body = json.dumps({"DDBStreamBatchInfo": letter})
            self._world.queues.send(self._mapping.on_failure, body, origin=("stream", (self, batch)))
        self.wake()


@dataclass
class AsyncInvocation:
    """An asynchronous invocation; its id stays the same over all tries."""

    world: World
    function: str
    payload: str
    request_id: str
    tries: int = field(default=0)

    def start(self) -> None:
        """Tries it, and later again where it fails."""
        world, spec = self.world, self.world.template.functions[self.function]
        self.tries += 1

        def ended(answer: Any, error: BaseException | None) -> None:
            if error is None:
                return
            if self.tries < spec.async_attempts:
                world.scheduler.after(ASYNC_WAITS_S[min(self.tries, len(ASYNC_WAITS_S)) - 1], self.start)
            elif spec.async_dead_letters:
                attributes = {
                    "RequestID": {"DataType": "String", "StringValue": self.request_id},
                    "ErrorMessage": {"DataType": "String", "StringValue": type(error).__name__},
                }
                origin = ("function", self.function)
                world.queues.send(spec.async_dead_letters, self.payload, attributes, origin)

        event = json.loads(self.payload)
        world.invoke(spec, event, ended, deliveries=1, about=event, request_id=self.request_id)
