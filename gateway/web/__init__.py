"""The way in over HTTP: our own shapes in api/, other people's in dialects/, one file each."""
