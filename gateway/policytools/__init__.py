"""The tools of those who write policies: what is dead in one, what its tests see, what two say differently."""
