"""Where evidence is kept. A decision is on disk before its answer is sent."""
