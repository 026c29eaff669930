"""Extractors, one file each: this package is its registry, and `provenance.extract` says what such a file holds."""

import pkgutil


def names() -> list[str]:
    """Names of the extractors there are, sorted; imports none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
