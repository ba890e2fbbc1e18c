"""The artifact store: content addressing, integrity, references that must not lead elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from shared.adapters.artifacts import FsspecArtifacts
from shared.domain.artifacts import ArtifactRef
from shared.errors import BadInput, DigestMismatch, UnknownThing

FILES = {"weights.safetensors": b"\x00\x01" * 400, "adapter.json": b"{}"}


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FsspecArtifacts]:
    root = str(tmp_path / "artifacts") if request.param == "local" else f"memory://{uuid4()}"
    yield FsspecArtifacts(root)


def local_path(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def test_bytes_come_back_and_equal_bytes_are_stored_once(store: FsspecArtifacts) -> None:
    ref = store.put(b"hello", name="greeting.txt")
    assert store.get(ref) == b"hello"
    assert store.put(b"hello", name="greeting.txt") == ref
    assert ref.uri.endswith(f"/{ref.sha256[:2]}/{ref.sha256}/greeting.txt")


def test_an_empty_file_is_an_artifact(store: FsspecArtifacts) -> None:
    assert store.get(store.put(b"", name="empty.jsonl")) == b""


def test_a_folder_comes_back_whole(store: FsspecArtifacts) -> None:
    ref = store.put_folder(FILES, name="adapter")
    assert store.get_folder(ref) == FILES
    assert store.put_folder(dict(reversed(FILES.items())), name="adapter") == ref


def test_another_process_reads_by_the_full_uri(tmp_path: Path) -> None:
    ref = FsspecArtifacts(f"file://{tmp_path}/a").put(b"x", name="x.bin")
    assert FsspecArtifacts(f"{tmp_path}/a/").get(ref) == b"x"


def test_state_is_replaced_and_listed(store: FsspecArtifacts) -> None:
    assert store.read_state("jobs/1/spec.json") is None
    assert store.list_state("jobs/1") == []
    for content in (b"one", b"two"):
        store.write_state("jobs/1/progress/a.json", content)
    store.write_state("jobs/2/spec.json", b"{}")
    assert store.read_state("jobs/1/progress/a.json") == b"two"
    assert store.list_state("jobs/1") == ["jobs/1/progress/a.json"]
    assert store.list_state("") == ["jobs/1/progress/a.json", "jobs/2/spec.json"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", ".hidden", "", "a\\b", "a\n"])
def test_names_that_could_lead_elsewhere_are_refused(store: FsspecArtifacts, name: str) -> None:
    with pytest.raises(BadInput):
        store.put(b"x", name=name)
    with pytest.raises(BadInput):
        store.put_folder({name: b"x"}, name="folder")
    with pytest.raises(BadInput):
        store.write_state(name, b"x")


def test_references_out_of_the_root_are_refused(store: FsspecArtifacts) -> None:
    digest = store.put(b"x", name="x.bin").sha256
    for uri in (
        "file:///etc/passwd",
        f"{store.uri}/../../etc/passwd",
        f"{store.uri}/{digest[:2]}/{digest}/../../../etc/passwd",
        f"{store.uri}-other/{digest[:2]}/{digest}/x.bin",
        f"{store.uri}/state/jobs/1/spec.json",
    ):
        with pytest.raises(BadInput):
            store.get(ArtifactRef(uri, digest))
        with pytest.raises(BadInput):
            store.get_folder(ArtifactRef(uri, digest))


def test_absent_artifacts_are_unknown(store: FsspecArtifacts) -> None:
    ref = store.put(b"x", name="x.bin")
    with pytest.raises(UnknownThing):
        store.get(ArtifactRef(ref.uri.replace("x.bin", "y.bin"), ref.sha256))
    with pytest.raises(UnknownThing):
        store.get_folder(ArtifactRef(f"{store.uri}/folders/{ref.sha256}", ref.sha256))


def test_a_flipped_byte_is_refused_by_name(tmp_path: Path) -> None:
    store = FsspecArtifacts(str(tmp_path))
    ref = store.put_folder(FILES, name="adapter")
    file = local_path(ref.uri) / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.write_bytes(data)
    with pytest.raises(DigestMismatch, match=r"weights\.safetensors"):
        store.get_folder(ref)


def test_a_file_cut_short_by_a_crash_is_written_again(tmp_path: Path) -> None:
    store = FsspecArtifacts(str(tmp_path))
    ref = store.put(b"whole", name="x.bin")
    local_path(ref.uri).write_bytes(b"")
    store.put(b"whole", name="x.bin")
    assert store.get(ref) == b"whole"


def test_writing_leaves_no_temporary_files(tmp_path: Path) -> None:
    store = FsspecArtifacts(str(tmp_path))
    store.put_folder(FILES, name="adapter")
    store.write_state("jobs/1/spec.json", b"{}")
    assert not list(tmp_path.rglob("*.tmp"))
