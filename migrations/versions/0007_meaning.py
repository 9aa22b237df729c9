"""What a job's parameters and settings mean, as its objective declared it; until now that followed from their names.

Revision ID: 0007
Revises: 0006
"""

import json

from alembic import op

revision = "0007"
down_revision = "0006"

DECAY = {"scale": "decay"}
BY_NAME = {
    "step_word": "epoch",
    "parameters": {
        "learning_rate": {"role": "learning_rate", "scale": "log"},
        "epochs": {"role": "duration"},
        "batch_size": {"role": "batch_size", "scale": "log", "rate_shift": {"power": 0.75, "sd": 0.35}},
        "optimizer": {"role": "optimizer"},
        "momentum": {"role": "momentum", "scale": "decay", "rate_shift": {"power": -1.0, "sd": 0.2}},
        **{"beta1": DECAY, "beta2": DECAY, "alpha": DECAY},
    },
    "measure": ["dataset", "path", "fold", "target", "image_size"],
    "measured_with": {
        "validation_loss": ["loss", "huber_delta"],
        "training_loss": ["loss", "huber_delta", "label_smoothing"],
    },
    "threads": "threads",
}
"""What names stood for when jobs were read by them: true of every job from before, whatever its objective declares now."""


def upgrade() -> None:
    # No default in the end: whoever inserts a job knows what its objective declares.
    op.execute(
        f"""
        ALTER TABLE stride.jobs ADD COLUMN meaning jsonb NOT NULL DEFAULT '{json.dumps(BY_NAME)}';
        ALTER TABLE stride.jobs ALTER COLUMN meaning DROP DEFAULT;
        COMMENT ON COLUMN stride.jobs.meaning IS 'what its parameters and settings mean, as its objective declared it';
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE stride.jobs DROP COLUMN meaning")
