"""The embedded Ray head: the Jobs API behind a token, with no process that jobs do not need."""

import hashlib
import os
import secrets
import shutil
import sys
import sysconfig
from pathlib import Path

import httpx

import shared
from shared.local.processes import LOOPBACK, Ports, Process

OBJECT_STORE_BYTES = 200 * 2**20
PACKAGE_ROOT = Path(shared.__path__[0]).parent


def ray_client_environment(home: Path) -> dict[str, str]:
    """What a client of the head below this home needs in its environment."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(_token_file(home))}


def ray_token(home: Path) -> str:
    """The token of the head below this home; made on first use, readable by its owner only."""
    file = _token_file(home)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
    return file.read_text().strip()


def _token_file(home: Path) -> Path:
    return home.resolve() / "ray" / "token"


class RayHead:
    """A Ray head of one machine; its jobs are forgotten when it stops."""

    def __init__(self, home: Path, ports: Ports, lock: int, *, num_cpus: int | None) -> None:
        self._home = home.resolve()
        self._ports = ports
        self._num_cpus = num_cpus
        # A socket's path may have 107 characters, so Ray cannot live below an arbitrary home.
        mark = hashlib.sha256(str(self._home).encode()).hexdigest()[:8]
        self._session = Path("/tmp") / f"pioneer-ray-{os.getuid()}-{mark}"  # noqa: S108
        self._process = Process("ray", (), home / "logs" / "ray.log", lock, grace=2.0)

    async def start(self, within: float) -> str:
        """Start and return the Jobs API's address once it answers and its agent can take a job."""
        shutil.rmtree(self._session, ignore_errors=True)
        token = ray_token(self._home)
        jobs, agent = self._ports.take("ray"), self._ports.take("ray_agent")
        self._process.command = self._command(jobs, agent)
        self._process.environment = self._environment()
        self._process.start()
        address = f"http://{LOOPBACK}:{jobs}"
        urls = (f"{address}/api/version", f"http://{LOOPBACK}:{agent}/api/local_raylet_healthz")
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"}, timeout=5, trust_env=False
        ) as client:
            await self._process.ready(lambda: self._answers(client, urls), within)
        return address

    async def _answers(self, client: httpx.AsyncClient, urls: tuple[str, ...]) -> bool:
        # Until `ray start` has ended, its daemons are its own and not watched by the guard.
        return self._process.handed_over and await _answer(client, urls)

    def _command(self, jobs: int, agent: int) -> tuple[str, ...]:
        cpus = () if self._num_cpus is None else (f"--num-cpus={self._num_cpus}",)
        # Without --block: its waiting process costs 80 MB, and the guard does its work.
        return (
            sys.executable,
            *("-m", "ray.scripts.scripts", "start", "--head"),
            f"--port={self._ports.take('ray_gcs')}",
            "--include-dashboard=true",
            f"--dashboard-host={LOOPBACK}",
            f"--dashboard-port={jobs}",
            f"--dashboard-agent-listen-port={agent}",
            f"--temp-dir={self._session}",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--include-log-monitor=false",
            "--disable-usage-stats",
            "--log-color=false",
            *cpus,
        )

    def _environment(self) -> dict[str, str]:
        return {
            **ray_client_environment(self._home),
            # An address of another cluster must not leak into this one.
            "RAY_ADDRESS": "",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ray makes its workers nice, so that beside anything else they would train at a crawl.
            "RAY_worker_niceness": "0",
            "RAY_START_HOOK": "shared.local.ray_hook.only_jobs",
            # Ray's switch for one-machine clusters: everything listens on loopback.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            # Its default is one fixed port for every Ray of the machine.
            "DASHBOARD_METRIC_PORT": str(self._ports.take("ray_metrics")),
            "PYTHONPATH": _python_path(),
        }

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process.running

    async def stop(self) -> None:
        """Stop the head and all its jobs; their logs stay below home."""
        await self._process.stop()
        self._keep_logs()

    async def kill(self) -> None:
        """End the head and its jobs as `kill -9` would."""
        await self._process.kill()
        self._keep_logs()

    def _keep_logs(self) -> None:
        logs = self._session / "session_latest" / "logs"
        if logs.exists():
            kept = self._home / "logs" / "ray-session"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(logs.resolve(), kept, ignore_dangling_symlinks=True)
        shutil.rmtree(self._session, ignore_errors=True)


def _python_path() -> str:
    """A path on which Ray's processes find this package, also when it runs from a checkout."""
    present = os.environ.get("PYTHONPATH", "")
    if Path(sysconfig.get_path("purelib")) == PACKAGE_ROOT:
        return present
    return os.pathsep.join(filter(None, (str(PACKAGE_ROOT), present)))


async def _answer(client: httpx.AsyncClient, urls: tuple[str, ...]) -> bool:
    try:
        return all([(await client.get(url)).is_success for url in urls])
    except httpx.TransportError:
        return False
