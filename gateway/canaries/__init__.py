"""Known-answer probes: harmless things every provider is asked about, to see that it still judges as it did."""
