"""The embedded stack: a broker, a database and a Ray head on one machine, from PyPI packages, without docker."""

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
