"""What keys may do, what they spent; debts apart from their content."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("rate_limit", sa.Float))
    op.add_column("api_keys", sa.Column("daily_spend", sa.Float))
    op.add_column("api_keys", sa.Column("priority", sa.String(8), nullable=False, server_default="live"))
    op.create_table(
        "spends",
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("writer", sa.String(16), primary_key=True),
        sa.Column("amount", sa.Float, nullable=False),
    )
    op.drop_table("debts")  # nothing wrote to it
    op.create_table(
        "debts",
        sa.Column("decision_id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("risk", sa.Integer, nullable=False),
        sa.Column("lacking", sa.String(1024), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("owner", sa.String(16), nullable=False),
        sa.Column("lease_until", sa.Float, nullable=False),
    )
    op.create_index("debts_in_order", "debts", ["risk", "created_at"])
    op.create_table(
        "debt_contents",
        sa.Column("decision_id", sa.String(40), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("debt_contents")
    op.drop_table("debts")
    op.create_table(
        "debts",
        sa.Column("decision_id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("risk", sa.Integer, nullable=False),
        sa.Column("cause", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.drop_table("spends")
    for column in ("priority", "daily_spend", "rate_limit"):
        op.drop_column("api_keys", column)
