"""The trials of one point are found, also where two versions stored its steps."""

from service.analysis.model.points import tried_points
from tests.finished_jobs import a_job, a_trial

STEPPED = {"type": "float", "low": 0.0, "high": 10.0, "step": 0.1}


def test_a_step_that_an_earlier_version_stored_as_floats_add_up_is_the_same_point() -> None:
    job = a_job(space={"weight_decay": STEPPED})
    decays = [0.1 * 46, 4.6, 4.7]
    assert decays[0] != decays[1]
    found = tried_points(job, [a_trial(n, 0.01, 1.0, seed=n, weight_decay=decay) for n, decay in enumerate(decays)])
    assert [sorted(point.costs) for point in found] == [[0, 1], [2]]
    assert found[0].params["weight_decay"] == decays[0]
