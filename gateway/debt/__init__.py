"""Decisions made with less than was asked for are owed a second look, and get it once the vendors are back."""
