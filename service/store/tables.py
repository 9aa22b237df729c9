"""Our tables, as the newest migration leaves them. Trials, params, values and studies are Optuna's, in the schema `optuna`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

SCHEMA = "stride"
metadata = sa.MetaData(schema=SCHEMA)

_now = sa.text("clock_timestamp()")
_moment = sa.DateTime(timezone=True)

# Of Optuna's tables, which `stride migrate` has Optuna create, only the one that ours refer to.
studies = sa.Table(
    "studies",
    sa.MetaData(schema="optuna"),
    sa.Column("study_id", sa.Integer, primary_key=True),
    sa.Column("study_name", sa.Text, nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    # Without cascade: no stock tool can delete the study of a job, only DELETE /v1/jobs can.
    sa.Column("study_id", sa.Integer, sa.ForeignKey(studies.c.study_id), nullable=False, unique=True),
    sa.Column("spec", JSONB, nullable=False, comment="the submitted document, defaults filled"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    # What claims sort and filter by, generated from `spec`, the only place where it is written.
    sa.Column("objective", sa.Text, sa.Computed("spec #>> '{objective,name}'", persisted=True), nullable=False),
    sa.Column("priority", sa.Integer, sa.Computed("(spec ->> 'priority')::integer", persisted=True), nullable=False),
    sa.Column("max_parallel", sa.Integer, sa.Computed("(spec ->> 'max_parallel')::integer", persisted=True)),
    sa.Column("max_attempts", sa.Integer, sa.Computed("(spec ->> 'max_attempts')::integer", persisted=True), nullable=False),
    # The budget as it stands: the one submitted, until somebody changes it under the job's lock.
    sa.Column("budget_trials", sa.Integer),
    sa.Column("budget_seconds", sa.Double),
    sa.Column("budget_target", sa.Double),
    sa.Column("budget_failures", sa.Integer, nullable=False),
    sa.Column("phase", sa.Integer, nullable=False, server_default="0", comment="position of the current one"),
    # Copies from the current phase's row, so that a claim reads one row only: see queries/copy_phase.sql.
    sa.Column("phase_trials", sa.Integer, comment="the current phase's share of the budget"),
    sa.Column("phase_first_number", sa.Integer, nullable=False, server_default="0", comment="the current phase's"),
    sa.Column("needs_history", sa.Boolean, nullable=False, server_default=sa.false(), comment="the current phase's"),
    sa.Column("counts_points", sa.Boolean, nullable=False, server_default=sa.false(), comment="the current phase's"),
    sa.Column("has_next_phase", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("later_seconds", sa.Double, nullable=False, server_default="0", comment="of budget.seconds, kept for later phases"),
    sa.Column("next_point", sa.Integer, nullable=False, server_default="0", comment="points of the current phase issued"),
    sa.Column("failures_in_a_row", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sampling_until", _moment, comment="a hint: somebody is thinking of the next point until then"),
    sa.Column("seconds_left", sa.Double, comment="of budget.seconds, while the clock stands still"),
    sa.Column("deadline_at", _moment, comment="end of budget.seconds, while running"),
    sa.Column("event_seq", sa.BigInteger, nullable=False, server_default="0", comment="last number given to an event"),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("request_sha256", sa.LargeBinary),
    sa.Column("created_at", _moment, nullable=False, server_default=_now),
    sa.Column("started_at", _moment, comment="the first claim"),
    sa.Column("claimed_at", _moment, comment="the latest claim: whose is oldest is next among equals"),
    sa.Column("finished_at", _moment),
    sa.Column("objective_sha256", sa.LargeBinary, comment="of the version of its objective; null: any"),
    sa.Column("source", sa.Text, comment="where its first trials were imported from; null: it has trained them itself"),
    sa.CheckConstraint("state IN ('queued', 'running', 'paused', 'completed', 'failed', 'cancelled')", name="jobs_state_check"),
    sa.CheckConstraint("(finished_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled'))", name="jobs_finished_check"),
    sa.Index(
        "jobs_idempotency_key_key",
        "idempotency_key",
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    ),
    sa.Index("jobs_created_at_id_idx", "created_at", "id"),
    sa.Index("jobs_open_idx", "objective", postgresql_where=sa.text("state IN ('queued', 'running')")),
    sa.Index("jobs_deadline_at_idx", "deadline_at", postgresql_where=sa.text("state = 'running'")),
    sa.Index("jobs_finished_at_idx", "finished_at"),
)

phases = sa.Table(
    "phases",
    metadata,
    sa.Column("job_id", UUID(as_uuid=True), sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False, comment="0, 1, 2, ... without a gap"),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("search_space", JSONB, nullable=False),
    sa.Column("strategy", JSONB, nullable=False),
    sa.Column("trials", sa.Integer, comment="its share of the budget; null: all that the job has left"),
    sa.Column("seconds", sa.Double, comment="of budget.seconds, kept for it by earlier phases"),
    # What claims must know of its strategy.
    sa.Column("needs_history", sa.Boolean, nullable=False, comment="the next point depends on the study"),
    sa.Column("counts_points", sa.Boolean, nullable=False, comment="trials counts jobs.next_point, not trial numbers"),
    sa.Column("first_number", sa.Integer, comment="the trial number that was next when it began; null: it has not"),
    sa.CheckConstraint("position >= 0", name="phases_position_check"),
    sa.CheckConstraint("trials >= 0", name="phases_trials_check"),
    sa.CheckConstraint("seconds > 0", name="phases_seconds_check"),
)

# Not a column of jobs: every claim writes the job's row anew, and one of more than 2 kB is slower to write.
meanings = sa.Table(
    "meanings",
    metadata,
    sa.Column("job_id", UUID(as_uuid=True), sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("meaning", JSONB, nullable=False, comment="of the job's parameters and settings, as its objective declared it"),
)

extensions = sa.Table(
    "extensions",
    metadata,
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("job_id", UUID(as_uuid=True), sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("request_sha256", sa.LargeBinary, nullable=False),
    sa.Column("created_at", _moment, nullable=False, server_default=_now),
    sa.Index("extensions_job_id_idx", "job_id"),
)

notes = sa.Table(
    "notes",
    metadata,
    sa.Column("job_id", UUID(as_uuid=True), sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("held_until", _moment, nullable=False, comment="somebody writes them until then; nobody else does"),
    sa.Column("written_at", _moment),
    sa.Column("state", sa.Text, comment="of the job, as they were written"),
    sa.Column("ended", sa.Integer, comment="trials that had ended by then"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("token", UUID(as_uuid=True), nullable=False, unique=True, comment="chosen by the claimant"),
    sa.Column("job_id", UUID(as_uuid=True), sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    # No foreign key: a trial is deleted only with its study, to which jobs.study_id refers, and the check would slow every claim.
    sa.Column("trial_id", sa.Integer, nullable=False, comment="optuna.trials"),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("worker_id", UUID(as_uuid=True), nullable=False),
    sa.Column("started_at", _moment, nullable=False, server_default=_now),
    sa.Column("expires_at", _moment, nullable=False),
    sa.Column("released_at", _moment, comment="given back: claimable at once, never renewed"),
    sa.Column("last_step", sa.Integer, comment="highest step stored under this lease"),
    sa.Column("ended_at", _moment),
    sa.Column("outcome", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("log_tail", sa.Text, nullable=False, server_default=""),
    sa.Column("from_step", sa.Integer, comment="step of the checkpoint that the attempt went on from"),
    sa.Column(
        "excused",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="vanished while the database could not be reached: no fault of the trial",
    ),
    sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="leases_outcome_check"),
    sa.UniqueConstraint("trial_id", "attempt", name="leases_trial_id_attempt_key"),
    sa.Index("leases_open_trial_id_key", "trial_id", unique=True, postgresql_where=sa.text("ended_at IS NULL")),
    sa.Index("leases_open_job_id_idx", "job_id", postgresql_where=sa.text("ended_at IS NULL")),
    sa.Index("leases_open_expires_at_idx", "expires_at", postgresql_where=sa.text("ended_at IS NULL")),
    sa.Index("leases_job_id_idx", "job_id"),
)

measurements = sa.Table(
    "measurements",
    metadata,
    sa.Column("trial_id", sa.Integer, primary_key=True, autoincrement=False, comment="optuna.trials"),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fraction", sa.Double, nullable=False),
    sa.Column("in_warmup", sa.Boolean, nullable=False),
    sa.Column("metrics", JSONB, nullable=False, comment="numbers by name; NaN, Infinity and -Infinity as strings"),
    sa.Column("learning_rate", sa.Double, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("details", JSONB, comment="group_rates, update_losses and best_step, where the objective tells"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("job_id", UUID(as_uuid=True), sa.ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("trial_id", sa.Integer, nullable=False, comment="optuna.trials"),
    sa.Column("lease_id", sa.BigInteger, sa.ForeignKey(leases.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="state: to go on from; model: of a finished trial, to be served"),
    sa.Column("step", sa.Integer, nullable=False, comment="the last step that is in it"),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Column("content", sa.LargeBinary),
    sa.Column("path", sa.Text, comment="relative to STRIDE_CHECKPOINT_DIR"),
    sa.Column("created_at", _moment, nullable=False, server_default=_now),
    sa.CheckConstraint("kind IN ('state', 'model')", name="checkpoints_kind_check"),
    sa.CheckConstraint("(content IS NULL) <> (path IS NULL)", name="checkpoints_place_check"),
    sa.UniqueConstraint("lease_id", "kind", "step", name="checkpoints_lease_id_kind_step_key"),
    sa.Index("checkpoints_job_id_idx", "job_id"),
    sa.Index("checkpoints_trial_id_idx", "trial_id"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="host:pid"),
    sa.Column("objectives", ARRAY(sa.Text), nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("started_at", _moment, nullable=False, server_default=_now),
    sa.Column("seen_at", _moment, nullable=False, server_default=_now),
    sa.Column("lost_after_s", sa.Double, nullable=False, comment="silence after which the worker counts as lost"),
    sa.Column("stopped_at", _moment),
    sa.Column("set_aside", JSONB, nullable=False, server_default="{}", comment="objectives that it cannot train now, and why"),
    sa.Column("lost_at", _moment, comment="when its silence was noticed"),
    sa.Column(
        "objective_sha256s",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="by name, in hexadecimal digits, of those that are not built in",
    ),
    sa.Index("workers_seen_at_idx", "seen_at", postgresql_where=sa.text("stopped_at IS NULL")),
)

objectives = sa.Table(
    "objectives",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.LargeBinary, primary_key=True, comment="of declaration and source"),
    # Not jsonb, which would read 1e300 back as an integer of 301 digits.
    sa.Column("declaration", sa.JSON, nullable=False),
    sa.Column("declaration_sha256", sa.LargeBinary, nullable=False),
    sa.Column("announced_at", _moment, nullable=False, server_default=_now, comment="the last time"),
    sa.Column(
        "announced_by", UUID(as_uuid=True), nullable=False, comment="the worker that did so; retention may have deleted it"
    ),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("job_id", UUID(as_uuid=True), sa.ForeignKey(jobs.c.id, ondelete="CASCADE")),
    sa.Column("seq", sa.BigInteger, comment="order within the job, which is commit order"),
    sa.Column("at", _moment, nullable=False, server_default=_now),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False, server_default="{}"),
    sa.UniqueConstraint("job_id", "seq", name="events_job_id_seq_key"),
    sa.Index("events_at_idx", "at"),
)
