"""Whom to ask, in what order, for how long. It never hears of policies, and no exception leaves it."""
