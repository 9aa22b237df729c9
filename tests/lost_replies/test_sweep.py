"""The sweep at its smallest: two trials of three steps. `make prove` runs it on larger jobs."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.databases import Databases
from tests.lost_replies.stage import Stage
from tests.lost_replies.sweep import Swept, scenarios, sweep

TRIALS, STEPS = 2, 3
COMMITS = {
    "submit": 1,
    "claim": TRIALS,
    "report": TRIALS * (STEPS - 1),  # the last one is stored with the checkpoint
    "checkpoint": TRIALS * STEPS,
    "finish": TRIALS,
    "pause": 1,
    "release": 1,
    "resume": 1,
    "takeover": 1,
    "going on": 1,
    "cancel": 1,
    "next phase": 3,
    "extend": 1,
}


def swept(url: str, folder: Path, kinds: tuple[str, ...], kills: bool) -> list[Swept]:
    folder.mkdir()
    with Stage(url, folder, kills=kills) as stage:
        return [
            found
            for scenario in scenarios(TRIALS, STEPS)
            if (wanted := [kind for kind in scenario.kinds if kind in kinds])
            for found in sweep(stage, scenario, wanted)
        ]


def test_no_reply_that_is_lost_and_no_kill_after_a_commit_changes_what_becomes_of_a_job(
    databases: Databases, tmp_path: Path
) -> None:
    lanes = [
        (tuple(COMMITS), False),
        (("submit", "claim", "report", "finish"), True),
        (("checkpoint",), True),
        (("pause", "release", "resume", "takeover", "going on", "cancel"), True),
        (("next phase", "extend"), True),
    ]
    with ExitStack() as borrowed, ThreadPoolExecutor(len(lanes)) as pool:
        sweeping = [
            pool.submit(swept, borrowed.enter_context(databases.borrow()), tmp_path / str(number), kinds, kills)
            for number, (kinds, kills) in enumerate(lanes)
        ]
        results = [found for lane in sweeping for found in lane.result()]
    assert [violation for found in results for violation in found.violations] == []
    for kills in (False, True):
        lost = {found.kind: found.lost for found in results if found.kills is kills}
        assert lost.keys() == COMMITS.keys()
        assert all(lost[kind] >= COMMITS[kind] for kind in COMMITS), lost
