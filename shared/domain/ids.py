"""Deterministic ids: the same cause always gives the same id, so a repeat is recognised."""

import hashlib
import json
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("6d0f7c6e-97a1-5b0c-9f6e-2f1a2604b791")


def derive_id(*cause: str | int) -> str:
    """A UUIDv5 of what something is the result of: ``derive_id("run", diagnosis_id)``."""
    return str(uuid5(NAMESPACE, "\x1f".join(str(part) for part in cause)))


def content_digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON-serialisable value, independent of key order."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
