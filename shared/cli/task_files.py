"""The files that a person gives ``pioneer start``: rows, the form of answers, a survey."""

import re
from pathlib import Path

from shared.adapters.artifacts import FsspecArtifacts
from shared.adapters.writer_import import FORM, declared_by
from shared.domain.artifacts import ArtifactRef
from shared.domain.row_files import kind_of, read_rows
from shared.domain.survey import Surveyed, read_survey
from shared.domain.tasks import Task
from shared.errors import BadInput

_TRAIN, _TEST, _SURVEY = "train.jsonl", "test.jsonl", "survey.json"
# A name in the catalogue, or owner/name:configuration of the hub.
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?(:[\w.+-]+)?")


def located(
    artifacts: FsspecArtifacts, data: str | None
) -> tuple[ArtifactRef | None, ArtifactRef | None, str | None]:
    """(rows, test rows, data set): files are stored as they are, a name is left to the services.

    Raises BadInput naming the row that does not fit, or what is missing.
    """
    if data is None:
        return None, None, None
    path = Path(data).expanduser()
    if path.is_file():
        return _stored(artifacts, path), None, None
    if path.is_dir():
        if not (path / _TRAIN).is_file():
            raise BadInput(f"{path} has no {_TRAIN}: put the rows to learn into it")
        test = path / _TEST
        stored = _stored(artifacts, test) if test.is_file() else None
        return _stored(artifacts, path / _TRAIN), stored, None
    if not _NAME.fullmatch(data) or data.endswith(".jsonl"):
        raise BadInput(f"{data} is neither a file nor a folder: give one, or a data set's name")
    return None, None, data


def declared_task(form: Path | None, data: str | None) -> Task | None:
    """What a file, or one beside the rows, says of written answers. Raises BadInput naming it."""
    file = form or _beside(data, FORM)
    return declared_by(file) if file else None


def surveyed(survey: Path | None, data: str | None) -> tuple[Surveyed, ...]:
    """What others reached, by a file or one beside the rows. Raises BadInput naming the entry."""
    file = survey or _beside(data, _SURVEY)
    if file is None:
        return ()
    try:
        return read_survey(file.read_bytes(), name=str(file))
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}: give a file of JSON") from None


def _beside(data: str | None, name: str) -> Path | None:
    """A file in the folder of rows, if there is one."""
    file = Path(data).expanduser() / name if data else None
    return file if file and file.is_file() else None


def _stored(artifacts: FsspecArtifacts, file: Path) -> ArtifactRef:
    data = file.read_bytes()
    # Read here too: whoever asks hears at once of a row that does not fit.
    read_rows(data, kind_of(data, name=str(file)), name=str(file))
    return artifacts.put(data, name=file.name)
