"""The tables. A change here comes with a migration in migrations/versions."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

OPERATORS = "default"  # the tenant whose events tell of providers and policies: they are nobody's in particular

# One row a decision. `evidence` is JSON: the answer as it was given, every provider's raw words, every signal.
decisions = Table(
    "decisions",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("created_at", Float, nullable=False),  # seconds since 1970, UTC
    Column("action", String(8), nullable=False),
    Column("degraded", Boolean, nullable=False),
    Column("policy_name", String(64), nullable=False),
    Column("policy_hash", String(80), nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Index("decisions_by_tenant", "tenant", "created_at"),
)

# Answers that came after the decision, of providers that were not waited for. `evidence` is JSON.
late_answers = Table(
    "late_answers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("decision_id", String(40), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
)

# What was decided of the same content later, and why it was looked at again. `evidence` is the new decision as JSON.
revisions = Table(
    "revisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("decision_id", String(40), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("cause", String(32), nullable=False),
    Column("action", String(8), nullable=False),
    Column("evidence", LargeBinary, nullable=False),
)

# What has happened that others want to hear of, in order.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject", String(40), nullable=False),  # the id of what it is about
    Column("body", LargeBinary, nullable=False),
)

# Decisions made with less than was asked for, which are owed a second look.
debts = Table(
    "debts",
    metadata,
    Column("decision_id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("risk", Integer, nullable=False),  # the higher, the sooner
    Column("lacking", String(1024), nullable=False),  # who gave no answer: provider/modality, with spaces between
    Column("size", Integer, nullable=False),  # bytes of its content
    Column("tries", Integer, nullable=False),
    Column("due_at", Float, nullable=False),  # not before
    Column("owner", String(16), nullable=False),  # the process that looks at it now
    Column("lease_until", Float, nullable=False),  # and until when it may
    Index("debts_in_order", "risk", "created_at"),
)

# What a debt is about: the content itself, kept no longer than the debt. Apart, for rows of megabytes change slowly.
debt_contents = Table(
    "debt_contents",
    metadata,
    Column("decision_id", String(40), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# What each process has spent for each key, by days since 1970, UTC.
spends = Table(
    "spends",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("key", String(128), primary_key=True),
    Column("writer", String(16), primary_key=True),
    Column("amount", Float, nullable=False),
)

# What came into force when: each version of a policy, as often as it did. `source` is its file, `lists` JSON: the lists
# that it has in files, by their paths.
policy_versions = Table(
    "policy_versions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("hash", String(80), nullable=False, index=True),
    Column("role", String(16), nullable=False),  # in_force, canary or shadow
    Column("file", String(255), nullable=False),
    Column("activated_at", Float, nullable=False),
    Column("activated_by", String(128), nullable=False),
    Column("tests", String(64), nullable=False),  # what its own tests came to
    Column("source", Text, nullable=False),
    Column("lists", Text, nullable=False),
)

# Keys made with `modgate keys create`; those in gateway.yaml are not here. `hash` is SHA-256 over the key.
api_keys = Table(
    "api_keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("roles", String(64), nullable=False),  # comma-separated
    Column("hash", String(80), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
    Column("rate_limit", Float),  # requests a second
    Column("daily_spend", Float),
    Column("priority", String(8), nullable=False, server_default="live"),
)

# What was answered under an Idempotency-Key; `answer` is null while the request is under way.
replays = Table(
    "replays",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("answer", LargeBinary),
)
