"""Extractors, one file each; `provenance.extract` finds them by listing this package."""
