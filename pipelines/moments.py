"""Instants as manifests and leaves write them: ISO 8601 in UTC with microseconds and `Z`."""

from datetime import UTC, datetime

from provenance.identity import moment as text

__all__ = ["instant", "text"]


def instant(text: str) -> datetime:
    """The instant that ISO 8601 text names; a date is its first instant, and what names no zone is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
