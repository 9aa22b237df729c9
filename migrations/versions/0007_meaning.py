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
"""What names stood for when jobs were read by them, whatever their objectives declare now."""


def upgrade() -> None:
    # Names of parameters meant something in the search space only, those of data in the settings only.
    op.execute(
        f"""
        ALTER TABLE stride.jobs ADD COLUMN meaning jsonb;
        UPDATE stride.jobs SET meaning = jsonb_build_object(
            'step_word', '{BY_NAME["step_word"]}',
            'parameters', (
                SELECT coalesce(jsonb_object_agg(key, value), '{{}}')
                FROM jsonb_each('{json.dumps(BY_NAME["parameters"])}') WHERE spec -> 'search_space' ? key
            ),
            'measure', (
                SELECT coalesce(jsonb_agg(name), '[]')
                FROM jsonb_array_elements_text('{json.dumps(BY_NAME["measure"])}') AS name
                WHERE spec #> '{{objective,settings}}' ? name
            ),
            'measured_with', (
                SELECT coalesce(jsonb_object_agg(metric, names), '{{}}')
                FROM (
                    SELECT key AS metric, jsonb_agg(name) AS names
                    FROM jsonb_each('{json.dumps(BY_NAME["measured_with"])}'), jsonb_array_elements_text(value) AS name
                    WHERE spec -> 'search_space' ? name GROUP BY key
                ) AS known
            ),
            'threads', CASE WHEN spec #> '{{objective,settings}}' ? '{BY_NAME["threads"]}' THEN '{BY_NAME["threads"]}' END
        );
        ALTER TABLE stride.jobs ALTER COLUMN meaning SET NOT NULL;
        COMMENT ON COLUMN stride.jobs.meaning IS 'what its parameters and settings mean, as its objective declared it';
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE stride.jobs DROP COLUMN meaning")
