"""What `modgate drill` is made of: its traffic, its figures, its page."""
