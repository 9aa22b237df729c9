"""How a lease expires, as functions that every statement calls (decision 0016).

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # Each is one expression, which the planner puts in place of the call: the indexes serve as if it had been written there.
    op.execute(
        """
        CREATE FUNCTION stride.lease_expiry(job stride.jobs, lease_s double precision) RETURNS timestamptz
        LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN clock_timestamp() + make_interval(secs => lease_s);
        COMMENT ON FUNCTION stride.lease_expiry IS 'when a lease of the job that begins or is renewed now expires';

        CREATE FUNCTION stride.renewed_expiry(lease stride.leases, job stride.jobs, lease_s double precision) RETURNS timestamptz
        LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN CASE
            WHEN lease.released_at IS NULL AND job.state = 'running' THEN stride.lease_expiry(job, lease_s)
            ELSE lease.expires_at
        END;
        COMMENT ON FUNCTION stride.renewed_expiry IS
            'what a renewal makes of a lease: a released one, or one whose job is not running, is not extended';

        CREATE FUNCTION stride.is_expired(lease stride.leases, for_s double precision DEFAULT 0) RETURNS boolean
        LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN lease.ended_at IS NULL AND lease.expires_at < clock_timestamp() - make_interval(secs => for_s);
        COMMENT ON FUNCTION stride.is_expired IS 'whether an open lease expired more than so many seconds ago';

        CREATE FUNCTION stride.may_be_taken_over(
            lease stride.leases, job stride.jobs, patience_s double precision, for_s double precision DEFAULT 0
        ) RETURNS boolean
        LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN stride.is_expired(lease, for_s)
            AND job.state = 'running'
            AND (
                lease.released_at IS NOT NULL
                OR lease.started_at > pg_postmaster_start_time()
                OR pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => patience_s)
            );
        COMMENT ON FUNCTION stride.may_be_taken_over IS
            'whether a lease has expired and its trial is free; holders from before a start of the server get so long to renew';

        CREATE FUNCTION stride.expired_in_outage(lease stride.leases) RETURNS boolean
        LANGUAGE sql STABLE PARALLEL SAFE
        RETURN lease.expires_at < pg_postmaster_start_time();
        COMMENT ON FUNCTION stride.expired_in_outage IS
            'whether a lease expired while the server was down: no fault of its trial';
        """
    )


def downgrade() -> None:
    op.execute(
        """
        DROP FUNCTION stride.expired_in_outage(stride.leases);
        DROP FUNCTION stride.may_be_taken_over(stride.leases, stride.jobs, double precision, double precision);
        DROP FUNCTION stride.is_expired(stride.leases, double precision);
        DROP FUNCTION stride.renewed_expiry(stride.leases, stride.jobs, double precision);
        DROP FUNCTION stride.lease_expiry(stride.jobs, double precision);
        """
    )
