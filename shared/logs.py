"""Structured logs: one JSON object a line, with the run and the model it speaks of."""

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_context: ContextVar[dict[str, str]] = ContextVar("log_context", default={})  # noqa: B039


@contextmanager
def log_context(**fields: str | None) -> Generator[None]:
    """Add fields (``run_id``, ``model``) to every line logged inside."""
    token = _context.set(_context.get() | {k: v for k, v in fields.items() if v is not None})
    try:
        yield
    finally:
        _context.reset(token)


class JsonFormatter(logging.Formatter):
    """Log records as JSON, exceptions included."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The same for people."""

    def __init__(self, service: str) -> None:
        super().__init__(f"%(asctime)s {service:<11} %(levelname)-7s %(message)s%(context)s")

    def format(self, record: logging.LogRecord) -> str:
        fields = _context.get()
        record.context = "".join(f" {k}={v}" for k, v in fields.items())
        return super().format(record)


def configure_logs(service: str, *, level: str, style: str) -> None:
    """Send all logs of this process to stderr in one style."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service) if style == "json" else TextFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("aiokafka", "httpx", "httpcore", "pymongo", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(
            max(logging.WARNING, logging.getLevelNamesMapping()[level])
        )
