"""`stride clean`: what is old goes, and what makes no sense is refused."""

import pytest

from service.dispatch.outcome import Completed
from service.dispatch.renew import report
from service.store import measurements
from service.store.postgres import Database
from tests.acceptance.conftest import assert_fails, run
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude


def test_clean_deletes_what_is_older_and_says_how_much(database: Database, database_url: str) -> None:
    submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database))
    database.transact(lambda conn: report(conn, claim.job, claim.lease, [measurement(1), measurement(2)], lease_s=LEASE_S))
    conclude(database, claim, Completed(value=1.0))
    kept = run("clean", "--older-than", "1", STRIDE_DATABASE_URL=database_url)
    assert (kept.returncode, kept.stdout) == (
        0,
        "Deleted 0 measurements, 0 events, 0 workers and 0 announced objectives older than 1 days.\n",
    )
    done = run("clean", "--older-than", "0", STRIDE_DATABASE_URL=database_url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Deleted 2 measurements, ")
    assert "Traceback" not in done.stderr
    with database.transaction() as conn:
        assert measurements.of_trial(conn, claim.lease.trial_id) == []


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "1e300", "soon", ""])
def test_clean_refuses_days_that_make_no_sense(database_url: str, days: str) -> None:
    done = run("clean", f"--older-than={days}", STRIDE_DATABASE_URL=database_url)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "older-than" in done.stderr


def test_clean_asks_for_the_days(database_url: str) -> None:
    assert run("clean", STRIDE_DATABASE_URL=database_url).returncode == 2


def test_clean_of_a_database_that_is_not_there_says_so() -> None:
    url = "postgresql://stride:x@127.0.0.1:1/stride"
    done = run("clean", "--older-than", "7", STRIDE_DATABASE_URL=url)
    assert_fails(done, 1)
