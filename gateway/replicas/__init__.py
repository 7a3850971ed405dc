"""What replicas of this gateway tell each other, through a Redis that may be gone at any moment."""
