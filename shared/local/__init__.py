"""The embedded stack: broker, database and Ray head of one machine, from PyPI packages."""

from shared.local.broker import ensure_topics
from shared.local.processes import LocalStackError
from shared.local.ray_head import ray_client_environment, ray_token
from shared.local.stack import Endpoints, LocalStack

__all__ = [
    "Endpoints",
    "LocalStack",
    "LocalStackError",
    "ensure_topics",
    "ray_client_environment",
    "ray_token",
]
