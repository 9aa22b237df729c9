from uuid import uuid4

from service.dispatch.claim import Claimer
from service.store.postgres import Database
from tests.factories import submit_job


def test_claim_gives_every_trial_of_the_budget_once(database: Database) -> None:
    submit_job(database, budget={"trials": 3})
    claimer = Claimer(database, uuid4(), ["quadratic"], lease_s=30)
    claims = [claimer.claim(uuid4()) for _ in range(4)]
    assert [claim and claim.lease.number for claim in claims] == [0, 1, 2, None]
