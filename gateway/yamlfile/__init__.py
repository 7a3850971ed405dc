"""The one reader for every YAML file of ours: gateway.yaml, policies, taxonomy, the vendors' mappings.

`load(path, env=…)` → Document → `document.parse(Model)`. Whatever is wrong becomes a Problem at file:line:column, and
all of it comes at once. The dialect is described in nodes.py, variables in expand.py.
"""

from gateway.yamlfile.document import MAX_BYTES, Document, load, loads
from gateway.yamlfile.problem import MOST_TOLD, Problem, Problems, Severity, first_of, together

__all__ = [
    "MAX_BYTES",
    "MOST_TOLD",
    "Document",
    "Problem",
    "Problems",
    "Severity",
    "first_of",
    "load",
    "loads",
    "together",
]
