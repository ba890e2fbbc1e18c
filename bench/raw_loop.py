"""The least that can be done with a trace: read, validate, insert. The diagnoser's measure."""

import asyncio
import os
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer
from motor.motor_asyncio import AsyncIOMotorClient
from pydantic import BaseModel

RAW_TOPIC = "bench.raw"
RAW_COLLECTION = "raw_traces"
BATCH = 2_000


class RawTrace(BaseModel):
    id: str
    model: str
    model_version: int
    input: str
    output: str
    confidence: float | None
    reference: str | None
    occurred_at: datetime
    metadata: dict[str, str]


async def main() -> None:
    consumer = AIOKafkaConsumer(
        RAW_TOPIC,
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id="bench.raw",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=16_000_000,
        session_timeout_ms=1500,
        rebalance_timeout_ms=1000,
        heartbeat_interval_ms=300,
    )
    collection = AsyncIOMotorClient(os.environ["MONGODB_URI"])["pioneer"][RAW_COLLECTION]
    await consumer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=200, max_records=BATCH)
        now = datetime.now(UTC)
        documents = [
            {**RawTrace.model_validate_json(r.value or b"").model_dump(), "stored_at": now}
            for batch in batches.values()
            for r in batch
        ]
        if documents:
            await collection.insert_many(documents, ordered=False)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
