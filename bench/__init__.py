"""Side by side, in one run, as ratios: absolute figures of a shared machine mean nothing. `make bench`."""
