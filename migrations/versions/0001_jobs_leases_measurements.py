"""Jobs, leases, measurements, workers and events; two indexes on Optuna's trials.

Revision ID: 0001
Revises: none
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE stride.jobs (
            id uuid PRIMARY KEY,
            study_id integer NOT NULL UNIQUE REFERENCES optuna.studies (study_id),
            spec jsonb NOT NULL,
            state text NOT NULL,
            reason text,
            objective text NOT NULL GENERATED ALWAYS AS (spec #>> '{objective,name}') STORED,
            priority integer NOT NULL GENERATED ALWAYS AS ((spec ->> 'priority')::integer) STORED,
            max_parallel integer GENERATED ALWAYS AS ((spec ->> 'max_parallel')::integer) STORED,
            max_attempts integer NOT NULL GENERATED ALWAYS AS ((spec ->> 'max_attempts')::integer) STORED,
            trial_budget integer GENERATED ALWAYS AS ((spec #>> '{budget,trials}')::integer) STORED,
            next_point integer NOT NULL DEFAULT 0,
            failures_in_a_row integer NOT NULL DEFAULT 0,
            sampling_until timestamptz,
            seconds_left double precision,
            deadline_at timestamptz,
            event_seq bigint NOT NULL DEFAULT 0,
            idempotency_key text,
            request_sha256 bytea,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            started_at timestamptz,
            finished_at timestamptz,
            CONSTRAINT jobs_state_check
                CHECK (state IN ('queued', 'running', 'paused', 'completed', 'failed', 'cancelled')),
            CONSTRAINT jobs_finished_check
                CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'failed', 'cancelled')))
        );
        COMMENT ON COLUMN stride.jobs.spec IS 'the submitted document, defaults filled';
        COMMENT ON COLUMN stride.jobs.next_point IS 'grid points issued';
        COMMENT ON COLUMN stride.jobs.sampling_until IS 'a hint: somebody is thinking of the next point until then';
        COMMENT ON COLUMN stride.jobs.seconds_left IS 'of budget.seconds, while the clock stands still';
        COMMENT ON COLUMN stride.jobs.deadline_at IS 'end of budget.seconds, while running';
        COMMENT ON COLUMN stride.jobs.event_seq IS 'last number given to an event';
        COMMENT ON COLUMN stride.jobs.started_at IS 'the first claim';
        CREATE UNIQUE INDEX jobs_idempotency_key_key ON stride.jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;
        CREATE INDEX jobs_created_at_id_idx ON stride.jobs (created_at, id);
        CREATE INDEX jobs_open_idx ON stride.jobs (objective) WHERE state IN ('queued', 'running');
        CREATE INDEX jobs_deadline_at_idx ON stride.jobs (deadline_at) WHERE state = 'running';

        CREATE TABLE stride.leases (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            token uuid NOT NULL UNIQUE,
            job_id uuid NOT NULL REFERENCES stride.jobs (id) ON DELETE CASCADE,
            trial_id integer NOT NULL,
            attempt integer NOT NULL,
            worker_id uuid NOT NULL,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at timestamptz NOT NULL,
            released_at timestamptz,
            last_step integer,
            ended_at timestamptz,
            outcome text,
            reason text,
            log_tail text NOT NULL DEFAULT '',
            CONSTRAINT leases_trial_id_attempt_key UNIQUE (trial_id, attempt),
            CONSTRAINT leases_outcome_check CHECK ((ended_at IS NULL) = (outcome IS NULL))
        );
        COMMENT ON COLUMN stride.leases.token IS 'chosen by the claimant';
        COMMENT ON COLUMN stride.leases.trial_id IS 'optuna.trials';
        COMMENT ON COLUMN stride.leases.released_at IS 'given back: claimable at once, never renewed';
        COMMENT ON COLUMN stride.leases.last_step IS 'highest step stored under this lease';
        CREATE UNIQUE INDEX leases_open_trial_id_key ON stride.leases (trial_id) WHERE ended_at IS NULL;
        CREATE INDEX leases_open_job_id_idx ON stride.leases (job_id) WHERE ended_at IS NULL;
        CREATE INDEX leases_open_expires_at_idx ON stride.leases (expires_at) WHERE ended_at IS NULL;
        CREATE INDEX leases_job_id_idx ON stride.leases (job_id);

        CREATE TABLE stride.measurements (
            trial_id integer,
            step integer,
            fraction double precision NOT NULL,
            in_warmup boolean NOT NULL,
            metrics jsonb NOT NULL,
            learning_rate double precision NOT NULL,
            seconds double precision NOT NULL,
            PRIMARY KEY (trial_id, step)
        );
        COMMENT ON COLUMN stride.measurements.trial_id IS 'optuna.trials';
        COMMENT ON COLUMN stride.measurements.metrics IS 'numbers by name; NaN, Infinity and -Infinity as strings';

        CREATE TABLE stride.workers (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            objectives text[] NOT NULL,
            device text NOT NULL,
            version text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            lost_after_s double precision NOT NULL,
            stopped_at timestamptz
        );
        COMMENT ON COLUMN stride.workers.name IS 'host:pid';
        COMMENT ON COLUMN stride.workers.lost_after_s IS 'silence after which the worker counts as lost';
        CREATE INDEX workers_seen_at_idx ON stride.workers (seen_at) WHERE stopped_at IS NULL;

        CREATE TABLE stride.events (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            job_id uuid REFERENCES stride.jobs (id) ON DELETE CASCADE,
            seq bigint,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            type text NOT NULL,
            payload jsonb NOT NULL DEFAULT '{}',
            CONSTRAINT events_job_id_seq_key UNIQUE (job_id, seq)
        );
        COMMENT ON COLUMN stride.events.seq IS 'order within the job, which is commit order';
        CREATE INDEX events_at_idx ON stride.events (at);

        -- The next number is one backward step in the first; enqueued trials are found by the second.
        CREATE UNIQUE INDEX stride_trials_study_id_number_key ON optuna.trials (study_id, number);
        CREATE INDEX stride_trials_waiting_idx ON optuna.trials (study_id, number) WHERE state = 'WAITING';
        """
    )


def downgrade() -> None:
    op.execute(
        """
        DROP INDEX optuna.stride_trials_waiting_idx;
        DROP INDEX optuna.stride_trials_study_id_number_key;
        DROP TABLE stride.events, stride.workers, stride.measurements, stride.leases, stride.jobs;
        """
    )
