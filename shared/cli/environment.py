"""Where ``pioneer up`` runs its parts, so that other commands on the machine find them."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from shared.adapters import mongo
from shared.adapters.mongo import MongoDocuments
from shared.errors import BadSettings
from shared.settings import ServiceSettings, default_home, load_settings

FILE = "environment"


def home() -> Path:
    """The folder of the embedded parts."""
    return Path(os.environ.get("PIONEER_HOME") or default_home()).expanduser().resolve()


def remember(variables: Mapping[str, str]) -> Path:
    """Write the addresses for other commands; readable by the owner only."""
    file = home() / FILE
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return file


def forget() -> None:
    """Remove the addresses: nothing listens there any more."""
    (home() / FILE).unlink(missing_ok=True)


def client_settings() -> ServiceSettings:
    """Addresses from the environment, else those of a running ``pioneer up``."""
    file = home() / FILE
    if file.exists():
        for line in file.read_text().splitlines():
            name, _, value = line.partition("=")
            os.environ.setdefault(name, value)
    try:
        return load_settings(ServiceSettings)
    except BadSettings as error:
        raise BadSettings(f"{error} Or start everything here with: pioneer up") from None


@asynccontextmanager
async def reading() -> AsyncGenerator[MongoDocuments]:
    """The database, to show what is there."""
    settings = client_settings()
    documents = mongo.connect(settings.mongodb_uri.get_secret_value(), settings.mongodb_database)
    try:
        yield documents
    finally:
        documents.close()
