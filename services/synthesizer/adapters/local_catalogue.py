"""Data sets in a folder of one's own, by name; others are looked for elsewhere."""

from pathlib import Path

from services.synthesizer.ports import Catalogue, DataSet
from shared.adapters.writer_import import FORM, declared_by
from shared.domain.survey import read_survey
from shared.errors import BadInput

_TRAIN, _TEST, _SURVEY = "train.jsonl", "test.jsonl", "survey.json"
_SHOWN = 20


class LocalCatalogue:
    """Subfolders of a folder, each a data set with train.jsonl, and what else belongs to it."""

    def __init__(self, folder: Path, otherwise: Catalogue) -> None:
        self._folder = folder
        self._otherwise = otherwise

    def load(self, name: str) -> DataSet:
        names = self._names()
        # A name from a message is compared with what is there, never made a path of unseen.
        if name in names:
            return self._read(name)
        try:
            return self._otherwise.load(name)
        except BadInput as error:
            there = ", ".join(names[:_SHOWN]) or "nothing"
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise BadInput(f"{error}; the catalogue {self._folder} has {there}{more}") from error

    def _read(self, name: str) -> DataSet:
        try:
            return _data_set(self._folder / name)
        except OSError as error:
            raise BadInput(
                f"data set {name!r} of the catalogue {self._folder} cannot be read "
                f"({error.strerror}): let the synthesizer read its files"
            ) from None

    def _names(self) -> list[str]:
        try:
            return sorted(one.name for one in self._folder.iterdir() if (one / _TRAIN).is_file())
        except OSError as error:
            raise BadInput(
                f"the catalogue {self._folder} cannot be read ({error.strerror}): let "
                "PIONEER_CATALOGUE name a folder of data sets, or unset it"
            ) from None


def _data_set(folder: Path) -> DataSet:
    survey = _read(folder / _SURVEY)
    return DataSet(
        rows=(folder / _TRAIN).read_bytes(),
        test=_read(folder / _TEST),
        task=declared_by(folder / FORM) if (folder / FORM).is_file() else None,
        survey=read_survey(survey, name=str(folder / _SURVEY)) if survey else (),
    )


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""
