"""The text model that comes with modgate. README.md here is its model card."""
