"""How somebody's own endpoint is spoken to: what is put into its body, and where in its answer the scores stand."""
