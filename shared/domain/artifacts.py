"""References to immutable artifacts: where the bytes are, and what they must hash to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """An immutable file, or a folder named by the digest of its ``manifest.json``.

    ``sha256`` is the hex digest of the file itself, or of the folder's manifest, which lists the
    digest of every other file and is written last.
    """

    uri: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.uri}@{self.sha256[:12]}"
