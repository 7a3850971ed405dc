"""The generated parts of docs/vendors.md: what each vendor's labels mean, and what nobody there can see."""

from __future__ import annotations

import yaml

from gateway import paths, registry
from gateway.domain import Modality
from gateway.mapping import MediaFile, Silence, VendorFile
from gateway.taxonomy import Kind, Taxonomy, kin

_SILENCE = {
    Silence.DRIFT: "names every label; one missing is drift",
    Silence.BELOW_MINIMUM: "names what is above its minimum",
}
_YOURS = ("http", "hash_list")  # what an endpoint of your own, or a list, can see stands in your settings
_MIB, _MB = 1024 * 1024, 1_000_000


def tables() -> dict[str, VendorFile]:
    """Every vendor's table, by its name."""
    files = {name: paths.VENDORS / f"{name}.yaml" for name in registry.names() if name not in _YOURS}
    return {name: VendorFile.model_validate(yaml.safe_load(file.read_text())) for name, file in files.items()}


def parts() -> dict[str, str]:
    """What stands between the marks of the page, by their names."""
    files, taxonomy = tables(), Taxonomy.from_file(paths.TAXONOMY)
    return {
        "vendors": _vendors(files),
        "glance": _glance(files, taxonomy),
        "labels": _labels(files, taxonomy),
        "blind": _blind(files, taxonomy),
        "unmapped": _unmapped(files),
    }


def _takes(vendor: str, modality: Modality) -> bool:
    return modality in registry.adapter_class(vendor).accepts


def _seen(vendor: str, file: VendorFile, label: str, modality: Modality) -> bool:
    """Whether this label can be said of this kind of content."""
    named = file.image if modality is Modality.IMAGE else file.text
    return _takes(vendor, modality) and (named is None or label in named)


def _labels_for(vendor: str, file: VendorFile, slug: str, modality: Modality) -> tuple[list[str], list[str]]:
    """The labels that score a category, and those that only may be about it."""
    seen = {label: meaning for label, meaning in file.labels.items() if _seen(vendor, file, label, modality)}
    return (
        [label for label, meaning in seen.items() if slug in meaning.scored],
        [label for label, meaning in seen.items() if slug in meaning.also],
    )


def _covered(vendor: str, file: VendorFile, modality: Modality) -> set[str]:
    """Every category that some label scores, with those above it."""
    seen = [meaning for label, meaning in file.labels.items() if _seen(vendor, file, label, modality)]
    return {above for meaning in seen for slug in meaning.scored for above in kin(slug)}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def _vendors(files: dict[str, VendorFile]) -> str:
    rows = [
        [
            f"`{name}`",
            ", ".join(modality.value for modality in Modality if _takes(name, modality)),
            file.measures,
            _scale(file),
            _SILENCE[file.silence],
            str(len(file.labels)),
            str(len(file.unmapped)),
            _media(file.media) if _takes(name, Modality.IMAGE) and file.media else "-",
        ]
        for name, file in files.items()
    ]
    head = ["", "looks at", "measures", "scale", "silence", "labels mapped", "unmapped, with a reason", "pictures"]
    return _table(head, rows)


def _scale(file: VendorFile) -> str:
    if isinstance(file.scale, dict):
        return ", ".join(f"{step} = {share:g}" for step, share in file.scale.items())
    return f"{file.scale[0]:g} to {file.scale[1]:g}"


def _media(media: MediaFile) -> str:
    said = [", ".join(name.removeprefix("image/") for name in media.formats)] if media.formats else []
    if media.bytes:
        unit, word = (_MB, "MB") if media.bytes % _MB == 0 else (_MIB, "MiB")
        said.append(f"up to {media.bytes / unit:g} {word}")
    if media.sides:
        said.append(f"{media.sides[0]} to {media.sides[1]} pixels a side")
    if media.pixels:
        said.append(f"up to {media.pixels} pixels")
    if media.by == "address":
        said.append("by https address only")
    return "; ".join(said) or "any"


def _glance(files: dict[str, VendorFile], taxonomy: Taxonomy) -> str:
    """Only what somebody can see: `T` in texts, `I` in images; in brackets what a label merely may be about."""
    rows = []
    for slug in taxonomy.categories:
        row = [_glance_at(name, file, slug) for name, file in files.items()]
        if any(row):
            rows.append([f"`{slug}`", *row])
    return _table(["", *(f"`{name}`" for name in files)], rows)


def _glance_at(vendor: str, file: VendorFile, slug: str) -> str:
    found = {modality: _labels_for(vendor, file, slug, modality) for modality in Modality}
    scored = "".join(modality.value[0].upper() for modality, (labels, _) in found.items() if labels)
    also = "".join(modality.value[0].upper() for modality, (_, labels) in found.items() if labels)
    return scored or (f"({also})" if also else "")


def _labels(files: dict[str, VendorFile], taxonomy: Taxonomy) -> str:
    rows = []
    for slug, category in taxonomy.categories.items():
        cells = [_said(files, slug, modality) for modality in Modality]
        if any(cells):
            rows.append([f"`{slug}`", category.kind.value, *cells])
    return _table(["category", "kind", *(modality.value for modality in Modality)], rows)


def _said(files: dict[str, VendorFile], slug: str, modality: Modality) -> str:
    said = []
    for name, file in files.items():
        scored, also = _labels_for(name, file, slug, modality)
        words = [*(f"`{label}`" for label in scored), *(f"perhaps `{label}`" for label in also)]
        if words:
            said.append(f"**{name}** {', '.join(words)}")
    return "; ".join(said)


def _blind(files: dict[str, VendorFile], taxonomy: Taxonomy) -> str:
    """The roots of harm of which a vendor scores nothing at all."""
    rows = []
    for name, file in files.items():
        for modality in Modality:
            if _takes(name, modality):
                rows.append([f"`{name}`", modality.value, ", ".join(_unseen(name, file, modality, taxonomy)) or "-"])
    return _table(["", "in", "cannot see"], rows)


def _unseen(vendor: str, file: VendorFile, modality: Modality, taxonomy: Taxonomy) -> list[str]:
    covered = _covered(vendor, file, modality)
    return [
        f"`{slug}`"
        for slug, category in taxonomy.categories.items()
        if "/" not in slug
        and category.kind is not Kind.CONTEXT
        and slug not in ("unsafe", "unmapped")  # what has no name of its own
        and modality in category.modality
        and slug not in covered
    ]


def _unmapped(files: dict[str, VendorFile]) -> str:
    rows = [[f"`{name}`", f"`{label}`", why] for name, file in files.items() for label, why in file.unmapped.items()]
    return _table(["", "label", "why it means nothing to us"], rows)
