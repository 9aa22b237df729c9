"""The files of a data set on the Hugging Face Hub: which belong to training, validation and test set.

The data are one file, or a folder with files of each part, which a word in their names or the name of their folder tells.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from objectives.contract import DataProblem
from objectives.data.files import DataFile, data_file, files_below
from objectives.data.notes import counted, left_out

PARTS: Mapping[str, Sequence[str]] = {
    "training": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""The words by which the Hub tells the parts: https://huggingface.co/docs/hub/datasets-file-names-and-splits."""
SHARD = re.compile(r"(\d+)-of-(\d+)")


@dataclass(frozen=True, kw_only=True)
class HubFiles:
    """The files of each part; a part without files is to be split off the training set."""

    source: Path
    training: tuple[DataFile, ...]
    validation: tuple[DataFile, ...] = ()
    test: tuple[DataFile, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences about what is left out."""

    @property
    def parts(self) -> Iterator[tuple[DataFile, ...]]:
        """Training, validation, test."""
        return iter((self.training, self.validation, self.test))


def hub_files(path: Path, *, unlabelled: str | None = None) -> HubFiles:
    """The parquet files that a path names. Files without any part in their names are all of the training set.

    unlabelled: the word in the names of files that are left out, since their examples have no labels.
    Raises DataProblem when a file is missing, or belongs to no part.
    """
    if not path.is_dir():
        return HubFiles(source=path, training=(data_file(path),))
    found, unseen = files_below(path)
    tables = [file for file in found if file.suffix.lower() == ".parquet" and unlabelled not in _words(file.stem)]
    others = [file for file in found if file not in tables]
    _check_shards(tables)
    training, validation, test = (tuple(map(data_file, files)) for files in _parts(path, tables))
    notes = left_out(path, Counter(map(counted, [*unseen, *others])))
    return HubFiles(source=path, training=training, validation=validation, test=test, notes=notes)


def _parts(folder: Path, tables: Sequence[Path]) -> list[list[Path]]:
    """The files of training, validation and test, which must lie in one folder, or in one folder for each part."""
    by_word: dict[str | None, list[Path]] = defaultdict(list)
    places = set()
    for table in tables:
        word, place = _part_word(table.stem), table.parent
        if word is None and table.parent != folder and (word := _part_word(table.parent.name)):
            place = place.parent
        by_word[word].append(table)
        places.add(place)
    if len(places) > 1:
        raise DataProblem(f"{folder} holds several data sets, in {' and '.join(map(str, sorted(places)))}: name one of them.")
    if set(by_word) == {None}:
        return [list(tables), [], []]
    if nameless := by_word.pop(None, None):
        words = "; ".join(f"{part}: {', '.join(names)}" for part, names in PARTS.items())
        raise DataProblem(f"{nameless[0]} belongs to no part of the data: its name must have a word for it ({words}).")
    parts: list[list[Path]] = []
    for part, names in PARTS.items():
        used = [name for name in names if name in by_word]
        if len(used) > 1:
            raise DataProblem(f"{folder} has files for {part} named {' and '.join(used)}: one of these words is expected.")
        parts.append(by_word[used[0]] if used else [])
    if not parts[0]:
        raise DataProblem(f"{folder} lacks train-*.parquet: a folder of parquet files needs it.")
    return parts


def _part_word(name: str) -> str | None:
    """The word in a name that tells its part; None: there is no such word, or several."""
    known = {word for words in PARTS.values() for word in words}
    found = [word for word in _words(name) if word in known]
    return found[0] if len(found) == 1 else None


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z]+", name.lower())


def _check_shards(tables: Sequence[Path]) -> None:
    """Raise DataProblem unless of files named NAME-I-of-N all N are there."""
    groups: dict[str, list[tuple[Path, int, int]]] = defaultdict(list)
    for table in tables:
        if shard := SHARD.search(table.stem):
            groups[str(table.parent / table.stem[: shard.start()])].append((table, int(shard[1]), int(shard[2])))
    for begin, shards in groups.items():
        for table, _, total in shards:
            if total != len(shards):
                raise DataProblem(
                    f"{table} promises {total} files {Path(begin).name}*.parquet, but the folder holds {len(shards)}."
                )
        first = min(number for _, number, _ in shards) == 1  # some count from 1
        if missing := {number + first for number in range(len(shards))} - {number for _, number, _ in shards}:
            raise DataProblem(f"{shards[0][0]} promises {len(shards)} files, but number {min(missing)} of them is missing.")
