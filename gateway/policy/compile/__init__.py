"""Typed trees → what evaluates them: one Python function for all rules of a policy, Polars expressions, SQL text.

All of them agree on every row: true, false, or unknown.
"""
