"""The ArtifactStore over fsspec: local folders, memory, S3 and every other filesystem it knows.

<root>/<sha256[:2]>/<sha256>/<name>      files, named by their content
<root>/folders/<manifest sha256>/…       folders; ``manifest.json`` is written last
<root>/state/<path>                      small mutable files
"""

import hashlib
import json
import os
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from shared.domain.artifacts import ArtifactRef
from shared.errors import BadInput, DigestMismatch, TransientError, UnknownThing

MANIFEST = "manifest.json"
_PART = re.compile(r"[\w@+=,-][\w@+=,. -]*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FsspecArtifacts:
    """Implements ``ArtifactStore`` below ``root``, a path or any fsspec URL."""

    def __init__(self, root: str) -> None:
        # Listings are not cached: other processes write below the same root.
        fs, path = cast(
            "tuple[Any, str]",
            fsspec.core.url_to_fs(root, use_listings_cache=False),
        )
        self._fs = fs
        self._root = path.rstrip("/")
        self._local = isinstance(fs, LocalFileSystem)
        self.uri = str(fs.unstrip_protocol(self._root)).rstrip("/")

    def put(self, data: bytes, *, name: str) -> ArtifactRef:
        """Store bytes under their digest; storing the same bytes again is a no-op."""
        _single(name)
        digest = _sha256(data)
        self._put_once(f"{digest[:2]}/{digest}/{name}", data)
        return ArtifactRef(f"{self.uri}/{digest[:2]}/{digest}/{name}", digest)

    def get(self, ref: ArtifactRef) -> bytes:
        """The bytes. Raises UnknownThing when absent, DigestMismatch when they changed."""
        path = self._inside(ref)
        _single(path.removeprefix(f"{ref.sha256[:2]}/{ref.sha256}/"))
        return self._checked(path, ref.sha256, str(ref))

    def put_folder(self, files: dict[str, bytes], *, name: str) -> ArtifactRef:
        """Store files and, last of all, their manifest; the reference is the manifest's digest."""
        if not files or MANIFEST in files:
            raise BadInput(f"folder {name!r}: give at least one file, none named {MANIFEST}")
        listed = {
            _relative(file): {"sha256": _sha256(data), "bytes": len(data)}
            for file, data in sorted(files.items())
        }
        manifest = json.dumps({"files": listed}, separators=(",", ":")).encode()
        digest = _sha256(manifest)
        if self._size(f"folders/{digest}/{MANIFEST}") != len(manifest):
            for file, data in files.items():
                self._put_once(f"folders/{digest}/{file}", data)
            self._put_once(f"folders/{digest}/{MANIFEST}", manifest)
        return ArtifactRef(f"{self.uri}/folders/{digest}", digest)

    def get_folder(self, ref: ArtifactRef) -> dict[str, bytes]:
        """All files of a folder, each checked against the manifest. Raises as ``get``."""
        path = self._inside(ref)
        if path != f"folders/{ref.sha256}":
            raise BadInput(f"artifact {ref}: not a folder of this store")
        listed = json.loads(self._checked(f"{path}/{MANIFEST}", ref.sha256, f"{MANIFEST} of {ref}"))
        return {
            file: self._checked(
                f"{path}/{_relative(file)}", entry["sha256"], f"file {file!r} of folder {ref}"
            )
            for file, entry in listed["files"].items()
        }

    def read_state(self, path: str) -> bytes | None:
        """A small mutable file (job specs, progress, results), or None."""
        try:
            return self._read(f"state/{_relative(path)}")
        except UnknownThing:
            return None

    def write_state(self, path: str, data: bytes) -> None:
        """Replace a small mutable file in one step."""
        self._write(f"state/{_relative(path)}", data)

    def list_state(self, prefix: str) -> Sequence[str]:
        """Paths of the mutable files below a prefix, sorted; they suit ``read_state``."""
        top = f"{self._root}/state/"
        below = f"{top}{_relative(prefix.rstrip('/'))}" if prefix else top.rstrip("/")
        with _storage(prefix):
            found = cast("list[str]", self._fs.find(below))
        return sorted(path.removeprefix(top) for path in found if not path.endswith(".tmp"))

    def _inside(self, ref: ArtifactRef) -> str:
        """The path below the root; a reference from a message must never lead elsewhere."""
        path = ref.uri.removeprefix(f"{self.uri}/")
        if path == ref.uri or not _DIGEST.fullmatch(ref.sha256):
            raise BadInput(f"artifact {ref}: lies outside the store {self.uri} (set ARTIFACTS_URI)")
        if not path.startswith((f"{ref.sha256[:2]}/{ref.sha256}/", f"folders/{ref.sha256}")):
            raise BadInput(f"artifact {ref}: its path does not carry its digest")
        return _relative(path)

    def _checked(self, path: str, sha256: str, thing: str) -> bytes:
        data = self._read(path)
        if (found := _sha256(data)) != sha256:
            raise DigestMismatch(f"{thing}: expected {sha256[:12]}…, found {found[:12]}…")
        return data

    def _put_once(self, path: str, data: bytes) -> None:
        # A crash of the machine may leave a short file: the size tells, and it is written again.
        if self._size(path) != len(data):
            self._write(path, data, durable=True)

    def _size(self, path: str) -> int | None:
        with _storage(path):
            try:
                return int(self._fs.size(f"{self._root}/{path}"))
            except FileNotFoundError:
                return None

    def _read(self, path: str) -> bytes:
        with _storage(path):
            return cast("bytes", self._fs.cat_file(f"{self._root}/{path}"))

    def _write(self, path: str, data: bytes, *, durable: bool = False) -> None:
        target = f"{self._root}/{path}"
        with _storage(path):
            if self._local:
                _replace_local(Path(target), data, durable=durable)
            else:
                self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._fs.pipe_file(target, data)


def _replace_local(target: Path, data: bytes, *, durable: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _storage(path: str) -> Generator[None]:
    """Absence is permanent; every other failure of the storage may pass."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UnknownThing(f"artifact file {path!r}: not in the store") from error
    except OSError as error:
        raise TransientError(f"artifact file {path!r}: {error}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _single(name: str) -> str:
    if not _PART.fullmatch(name):
        raise BadInput(f"artifact name {name!r}: use letters, digits, ._@+=,- and no leading dot")
    return name


def _relative(path: str) -> str:
    return "/".join(_single(part) for part in path.split("/"))
