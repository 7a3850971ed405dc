"""Writes the generated parts of docs/ from the code, so that they cannot rot. `python -m docs.generate [--check]`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic import BaseModel

from docs import policy_page, vendor_page
from docs.typewords import about, default, kind
from gateway import paths, registry
from gateway.adapter import VendorSettings
from gateway.policy.cel.words import WORDS
from gateway.settings import (
    AuthSettings,
    CacheSettings,
    CanarySettings,
    DebtSettings,
    FetchSettings,
    KeySettings,
    LegSettings,
    LimitSettings,
    NearSettings,
    PoliciesSettings,
    ServerSettings,
    StorageSettings,
)
from gateway.taxonomy import Kind, Taxonomy, kin
from gateway.web.app import endpoints
from gateway.web.auth import Role
from gateway.web.dialects import learn
from gateway.web.dialects.openai import CATEGORIES

HERE = Path(__file__).parent
ROOT = HERE.parent

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("server", ServerSettings),
    ("auth", AuthSettings),
    ("auth.keys[]", KeySettings),
    ("storage", StorageSettings),
    ("fetch", FetchSettings),
    ("limits", LimitSettings),
    ("cache", CacheSettings),
    ("canaries", CanarySettings),
    ("debt", DebtSettings),
    ("routes.<name>.text · image", LegSettings),
    ("routes.<name>.image.cache", NearSettings),
    ("policies", PoliciesSettings),
    ("providers.<name>", VendorSettings),
)
_FLOWS = tuple(Path("tests/policies/files") / f"{name}.yaml" for name in ("tiers", "pictures", "categories"))


def main() -> None:
    """Write the pages; with --check only say whether they are up to date."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        sys.exit(f"out of date, run make docs: {', '.join(path.name for path in stale)}" if stale else 0)
    for path in stale:
        path.write_text(pages()[path])
        print(f"wrote {path.relative_to(ROOT)}")


def pages() -> dict[Path, str]:
    """Every page with generated parts, as it should be."""
    return {
        HERE / "configuration.md": _filled(HERE / "configuration.md", {"keys": _keys()}),
        HERE / "api.md": _filled(HERE / "api.md", {"endpoints": _endpoints()}),
        HERE / "policy_language.md": _filled(HERE / "policy_language.md", {"rule words": _rule_words()}),
        HERE / "dialects.md": _filled(HERE / "dialects.md", {"words": _words()}),
        HERE / "vendors.md": _filled(HERE / "vendors.md", vendor_page.parts()),
        HERE / "cookbook.md": _filled(HERE / "cookbook.md", {f"file {file}": _shown(file) for file in _FLOWS}),
        ROOT / "config/README.md": _filled(ROOT / "config/README.md", policy_page.parts()),
    }


def _filled(page: Path, parts: dict[str, str]) -> str:
    """The page with what stands between `<!-- name -->` and `<!-- /name -->` replaced."""
    text = page.read_text()
    for name, part in parts.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m, part=part: m[1] + part + m[2], text, flags=re.S
        )
    return text


def _keys() -> str:
    out = []
    for name, model in _SECTIONS:
        out.append(_section(name, model))
    for adapter in registry.names():
        model = registry.settings_for(adapter)
        own = [field for field in model.model_fields if field not in VendorSettings.model_fields]
        if own:
            out.append(_section(f"providers.<name> with `adapter: {adapter}`", model, only=own))
    return "\n".join(out)


def _section(name: str, model: type[BaseModel], only: list[str] | None = None) -> str:
    rows = [
        f"| `{key}` | {kind(field)} | {default(field)} |"
        for key, field in model.model_fields.items()
        if (only is None or key in only) and field.annotation is not type(None)
    ]
    return "\n".join(
        [
            f"### `{name}`" if "`" not in name else f"### {name}",
            "",
            about(model),
            "",
            "| key | type | default |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _shown(file: Path) -> str:
    """A file of the checkout as it stands."""
    return f"```yaml\n{(ROOT / file).read_text().strip()}\n```\n"


def _endpoints() -> str:
    rows = ["| | | who |", "|---|---|---|"]
    for endpoint in endpoints():
        roles = [*sorted(role.value for role in endpoint.roles - {Role.ADMIN}), Role.ADMIN.value]
        who = ", ".join(roles) if endpoint.roles else "everybody"
        rows.append(f"| `{endpoint.method} {endpoint.path}` | {endpoint.summary} | {who} |")
    return "\n".join(rows) + "\n"


def _rule_words() -> str:
    rows = ["| word | | means | like |", "|---|---|---|---|"]
    for word in WORDS:
        name, example = (text.replace("|", "\\|") for text in (word.name, word.example))
        rows.append(f"| `{name}` | {word.form} | {word.says} | `{example}` |")
    return "\n".join(rows) + "\n"


def _words() -> str:
    """Which words of each dialect tell a category; one that is told as its parent is has no row."""
    taxonomy = Taxonomy.from_file(paths.TAXONOMY)
    spoken = learn(taxonomy)

    def row(slug: str) -> list[str]:
        first = next(([name] for kin_ in kin(slug) for name, means in CATEGORIES.items() if means == kin_), [])
        return [", ".join(words) or "-" for words in (first, *(inverse.words(slug) for inverse in spoken.values()))]

    rows = [f"| | openai | {' | '.join(spoken)} |", "|---" * (len(spoken) + 2) + "|"]
    for slug, node in taxonomy.categories.items():
        parent = slug.rpartition("/")[0]
        if node.kind is not Kind.CONTEXT and row(slug) != (row(parent) if parent else ["-"] * (len(spoken) + 1)):
            rows.append(f"| `{slug}` | {' | '.join(row(slug))} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
