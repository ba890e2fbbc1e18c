"""``python -m examples.serving``: a model server with settings from the environment."""

import sys

import uvicorn

from examples.serving.app import create_app
from examples.serving.model import Predictor
from examples.serving.server import Server
from examples.serving.settings import ServingSettings
from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.errors import BadSettings
from shared.logs import configure_logs
from shared.settings import load_settings


def main() -> int:
    """Serve until a signal; requests under way are answered and their traces sent."""
    try:
        settings = load_settings(ServingSettings)
    except BadSettings as error:
        print(error, file=sys.stderr)
        return 2
    configure_logs("serving", level=settings.log_level, style=settings.log_format)
    artifacts = FsspecArtifacts(settings.artifacts_uri)

    def load(adapter: ArtifactRef) -> Predictor:
        # In the loading thread: torch takes seconds to import, and the port opens meanwhile.
        from shared.jobs import predict

        return predict.Predictor.load(artifacts, adapter)

    uvicorn.run(
        create_app(Server(settings, load)),
        host=settings.serving_host,
        port=settings.serving_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=30,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
