"""The one reader for every YAML file of ours: gateway.yaml, policies, taxonomy, the vendors' mappings.

`load(path, env=…)` → Document → `document.parse(Model)`. Whatever is wrong becomes a Problem at file:line:column, and
all of it comes at once. The dialect is described in nodes.py, variables in expand.py.
"""

from gateway.yamlfile.document import MAX_BYTES, Document, load, loads
from gateway.yamlfile.problem import Problem, Problems, Severity, together

__all__ = ["MAX_BYTES", "Document", "Problem", "Problems", "Severity", "load", "loads", "together"]
