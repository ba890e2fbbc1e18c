"""Leaves out the processes of a Ray head that jobs do not need.

`ray start` calls `only_jobs` through RAY_START_HOOK. It is the one place that touches Ray's
insides, on the version that pyproject.toml pins: without it the head takes a gigabyte more.
"""

from typing import Any

# The Jobs API finds its agent by what NodeHead writes down.
JOBS_MODULES = "--modules-to-load=JobHead,NodeHead"


def only_jobs(params: Any, head: bool) -> None:
    """Start no autoscaler, ray:// server or log monitor, and of the dashboard the Jobs API only."""
    # The ray:// server would also take a fixed port, which a second stack could not have.
    params.ray_client_server_port = None
    params.no_monitor = True
    params.include_log_monitor = False
    _load_jobs_api_only()


def _load_jobs_api_only() -> None:
    from ray._private import services

    services_any: Any = services
    start = getattr(services_any, "start_ray_process", None)
    if start is None:
        return

    def start_lean(command: list[str], process_type: str, *args: Any, **kwargs: Any) -> Any:
        extra = [JOBS_MODULES] if process_type == "dashboard" else []
        return start([*command, *extra], process_type, *args, **kwargs)

    services_any.start_ray_process = start_lean
