"""YAML that a policy lead can review, made into a function from signals and gaps to a decision."""
