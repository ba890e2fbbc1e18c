"""When rows came in and how they were served: bursts, latencies, timeouts, retries (paper §3)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from bench.adaptft.perturbations import RETRY_STORM

if TYPE_CHECKING:
    from bench.adaptft.logs import LogRow

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TIMEOUTS = 0.015
_MEDIAN_MS, _SPREAD = 42.0, 0.55
_TIMEOUT_MS = 5_000
_SERVERS = ("web-1", "web-2", "web-3", "mobile", "partner-api")


class Traffic:
    """Gives rows their times and metadata from one seeded clock."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._batch = 0

    def served(self, rows: Sequence["LogRow"], start: datetime) -> tuple["LogRow", ...]:
        """The rows by time. Copies of a retry storm follow their source within seconds."""
        rng, at = self._rng, start
        alone = [row for row in rows if RETRY_STORM not in row.flags]
        storms: dict[tuple[str, tuple[str, ...]], list[LogRow]] = {}
        for row in rows:
            if RETRY_STORM in row.flags:
                storms.setdefault((row.original, row.flags[:-1]), []).append(row)
        found: list[LogRow] = []
        left, channel = 0, _SERVERS[0]
        for row in rng.sample(alone, len(alone)):
            if left == 0:
                left, self._batch = rng.randint(1, 16), self._batch + 1
                at += timedelta(seconds=rng.expovariate(1 / 90))
                channel = rng.choice(_SERVERS)
            left -= 1
            at += timedelta(milliseconds=rng.randint(1, 400))
            session = f"{rng.getrandbits(32):08x}"
            found.append(self._row(row, at, channel, session))
            moment = at
            for copy in storms.pop((row.original, row.flags), ()):
                moment += timedelta(seconds=rng.uniform(0.3, 3.0))
                found.append(self._row(copy, moment, channel, session))
        return tuple(sorted(found, key=lambda row: (row.occurred_at, row.id)))

    def _row(self, row: "LogRow", at: datetime, channel: str, session: str) -> "LogRow":
        rng = self._rng
        latency = min(_MEDIAN_MS * rng.lognormvariate(0.0, _SPREAD), _TIMEOUT_MS)
        metadata = {"batch": f"b{self._batch:05d}", "channel": channel, "session": session}
        if rng.random() < TIMEOUTS:
            # The first try ran out of time; what is logged is the second.
            metadata |= {"timeout": "true", "attempt": "2"}
            latency += _TIMEOUT_MS
        metadata["latency_ms"] = f"{latency:.1f}"
        return replace(row, occurred_at=at, metadata=metadata)
