"""Which policies came into force when, and what they said."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "policy_versions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(80), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("file", sa.String(255), nullable=False),
        sa.Column("activated_at", sa.Float, nullable=False),
        sa.Column("activated_by", sa.String(128), nullable=False),
        sa.Column("tests", sa.String(64), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("lists", sa.Text, nullable=False),
    )
    op.create_index("ix_policy_versions_hash", "policy_versions", ["hash"])


def downgrade() -> None:
    op.drop_table("policy_versions")
