"""The schedule: the same for the same seed, dense enough, and with every kind of fault."""

from itertools import pairwise

from tests.chaos.schedule import LONG_RUN, Fault, schedule

MINUTES_20 = 1_200.0
EVERYTHING = frozenset(LONG_RUN)


def test_a_seed_gives_the_same_schedule_every_time_and_another_seed_another() -> None:
    assert schedule(1, 60.0) == schedule(1, 60.0)
    assert schedule(1, 60.0) != schedule(2, 60.0)


def test_a_longer_run_begins_as_a_shorter_one() -> None:
    for lane, planned in schedule(1, 60.0).items():
        assert schedule(1, MINUTES_20)[lane][: len(planned)] == planned


def test_twenty_minutes_hold_more_than_200_faults_of_every_kind() -> None:
    for seed in range(5):
        planned = [item.fault for lane in schedule(seed, MINUTES_20, also=EVERYTHING).values() for item in lane]
        assert len(planned) > 250  # some find no target
        assert set(planned) == set(Fault)


def test_faults_of_a_lane_do_not_overlap_and_end_in_time() -> None:
    for lane in schedule(3, MINUTES_20, also=EVERYTHING).values():
        for item, following in pairwise(lane):
            assert item.at_s + item.lasts_s < following.at_s
        assert lane[-1].at_s + lane[-1].lasts_s <= MINUTES_20
