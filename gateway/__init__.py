"""modgate: content comes in, vendors are asked, their words become ours, a policy decides, the reason is kept."""
