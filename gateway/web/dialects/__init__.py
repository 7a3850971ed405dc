"""Other people's endpoints, so that their clients change one address. One file each; vendors are named here only."""

from gateway.web.dialects.openai import OPENAI_ROUTES

DIALECT_ROUTES = [*OPENAI_ROUTES]
