import re
from pathlib import Path

import pytest
import yaml

from objectives.catalog import load_catalog
from service.api.submission import complete, warnings_of
from service.domain.request import JobRequest

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "fine-tuning.md"
JOBS = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_a_job_in_the_guide_to_fine_tuning_is_taken_as_it_is(number: int) -> None:
    spec = complete(JobRequest.model_validate(yaml.safe_load(JOBS[number])), load_catalog())
    assert warnings_of(spec) == []
    assert len(JOBS) == 2
