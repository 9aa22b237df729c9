"""The README is true."""

import json
import re
from pathlib import Path

from objectives.catalog import load_catalog
from service.api.submission import complete
from service.domain.request import JobRequest
from service.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_table_is_the_settings() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$", README, flags=re.MULTILINE)
    expected = []
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else "none" if field.default == () else f"`{field.default}`"
        expected.append((name.upper(), default, field.description))
    assert table == expected


def test_the_job_in_the_readme_can_be_submitted() -> None:
    found = re.search(r"-d '(\{.*?\n\})'", README, flags=re.DOTALL)
    assert found
    complete(JobRequest.model_validate(json.loads(found[1])), load_catalog())


def test_every_file_and_folder_that_the_map_names_exists() -> None:
    [section] = re.findall(r"## Map of files\n(.*?)\n## ", README, flags=re.DOTALL)
    for folder in re.findall(r"^ {4}([a-z]+/)", section, flags=re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_the_files_in_how_data_flows_exist() -> None:
    [section] = re.findall(r"## How data flows\n(.*?)\n## ", README, flags=re.DOTALL)
    named = re.findall(r"`([a-z_]+/[a-z_/]+\.(?:py|sql))`", section)
    assert len(named) >= 8
    for name in named:
        assert (ROOT / "service" / name).is_file(), name
