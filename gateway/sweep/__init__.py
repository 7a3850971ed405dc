"""Stored decisions under another policy: what would have been decided, of all of them, without asking a vendor.

Only the commands that sweep import this room: it loads Polars, which a serving gateway does not need.
"""
