"""Images and labels in parquet files, with columns and file names of all sorts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from objectives.contract import DataProblem
from objectives.data.image_parquet import image_parquet
from objectives.data.split import complete_split
from tests.loaders_fuzz.damage import some_of
from tests.loaders_fuzz.outcome import Outcome
from tests.unit.objectives.data.drawing import draw as drawn
from tests.unit.objectives.data.drawing import random_pixels

NAMES: Mapping[str, Sequence[str]] = {
    "training": ("train-{0:05}-of-{1:05}", "train-{0:05}-of-{1:05}-1359597a978bc4fa", "training_{0}", "train/{0:04}"),
    "validation": ("validation-00000-of-00001", "valid-00000-of-00001-0a", "val", "dev-0", "validation/0000"),
    "test": ("test-00000-of-00001", "testing", "eval_0", "test/0000"),
}
FAULTS = ("shard", "strange", "label", "column", "bytes", "empty", "unknown")
LABEL_TYPES = (pa.int64(), pa.int8(), pa.uint64(), pa.int32())


@dataclass(frozen=True, kw_only=True)
class ImageTableCase:
    parts: Mapping[str, Sequence[int]]
    """The labels of each part that has files."""
    files: Mapping[str, Any]
    """Tables by path."""
    plain: bool
    """Whether the files are as the README says, so that they must be read."""


@st.composite
def image_table_cases(draw: st.DrawFn) -> ImageTableCase:
    """A folder of files, with at most two faults."""
    faults = some_of(draw, FAULTS)
    classes = draw(st.lists(st.integers(0, 127), min_size=2, max_size=3, unique=True))
    n_files = draw(st.integers(1, 2))
    parts: dict[str, list[int]] = {"training": [classes[row % len(classes)] for row in range(18)]}
    for part in ("validation", "test"):
        if draw(st.booleans()):
            parts[part] = [draw(st.sampled_from(classes)) for _ in range(4)]
    folder, label = draw(st.sampled_from(["", "data/"])), draw(st.sampled_from(["label", "labels", "fine_label"]))
    image, is_struct = draw(st.sampled_from(["image", "img"])), draw(st.booleans())
    kind = draw(st.sampled_from(LABEL_TYPES))
    files = {}
    seed = 0
    for part, labels in parts.items():
        name = folder + draw(st.sampled_from(NAMES[part]))
        total = n_files if part == "training" else 1
        for number in range(total):
            mine: list[Any] = labels[number * len(labels) // total : (number + 1) * len(labels) // total]
            contents: list[Any] = [drawn(random_pixels(4, 4, seed=seed + row)) for row in range(len(mine))]
            seed += len(mine)
            hit = draw(st.integers(0, len(mine) - 1))
            if "label" in faults:
                mine = [draw(st.sampled_from([-1, None])) if row == hit else each for row, each in enumerate(mine)]
            if "unknown" in faults and part != "training":
                mine[hit] = next(each for each in range(128) if each not in classes)
            if "bytes" in faults:
                contents[hit] = draw(st.sampled_from([None, b"", b"no image", contents[hit][:40]]))
            images = pa.array([{"bytes": each, "path": None} for each in contents] if is_struct else contents)
            column = pa.array(mine) if "label" in faults else pa.array(mine, kind)
            if "column" in faults:
                column = draw(
                    st.sampled_from([pa.array(map(str, mine)), column.cast(pa.float64()), pa.array([[each] for each in mine])])
                )
            table = pa.table({image: images, label: column})
            files[f"{name.format(number, total)}.parquet"] = table.slice(0, 0) if "empty" in faults else table
    if "shard" in faults:
        files[folder + "train-00000-of-00003.parquet"] = files.pop(next(iter(files)))
    if "strange" in faults:
        files[draw(st.sampled_from(["more/", folder])) + draw(st.sampled_from(["extra", "train_more"])) + ".parquet"] = table
    return ImageTableCase(parts=parts, files=files, plain=not faults or (faults == {"unknown"} and len(parts) == 1))


def check_image_table(case: ImageTableCase, folder: Path) -> Outcome:
    """Raises AssertionError when the files are read as something else than they say, or refused without need."""
    for name, table in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name)
    try:
        sets = image_parquet(folder, image_size=4)
    except DataProblem as problem:
        if case.plain:
            raise AssertionError("refused without need") from problem
        return "refused"
    if not case.plain:
        # Whatever is among the files, none of their rows may be lost.
        assert len(sets.training) + len(sets.validation) + len(sets.test) == sum(len(table) for table in case.files.values())
        return "read, damaged"
    given = [case.parts.get(part, []) for part in NAMES]
    different = sorted(set(given[0]))
    labels = np.array([different.index(label) for part in given for label in part])
    pixels = np.stack([random_pixels(4, 4, seed=seed) for seed in range(len(labels))])[:, None]
    split = complete_split(labels, n_validation=len(given[1]), n_test=len(given[2]))
    seen = pixels[split.training].astype(np.float64)
    for part, rows in zip((sets.training, sets.validation, sets.test), split, strict=True):
        np.testing.assert_allclose(part.inputs, (pixels[rows] - seen.mean()) / seen.std(), rtol=1e-3, atol=1e-4)
        assert part.targets.tolist() == labels[rows].tolist()
    return "read"
