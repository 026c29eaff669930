"""Who attests what a freeze takes in: the trust list, and the witnesses of files and of captures that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.runner import Runner
from provenance.trust import Trust
from store.errors import UsageError

if TYPE_CHECKING:
    from pipelines.freeze import Order
    from pipelines.ingest import Source


@dataclass
class Gathered:
    """The witnesses of one freeze."""

    trust: Trust | None = None
    indexes: Sequence[str] = ()
    by_file: dict[str, dict[str, str]] = field(default_factory=dict)
    """Who knew a file before the cutoff (`level`, `name`, `instant`), by the file's SHA-256."""
    named: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Entries of the trust list that leaves may name, as manifests write them, by name."""
    said: list[str] = field(default_factory=list)
    """What counted for how much, and what for nothing and why."""
    identity: Any = None
    """Digests of all that was handed in."""

    @property
    def custodians(self) -> dict[str, str]:
        """Who stands behind each name of the trust list."""
        return self.trust.custodians() if self.trust else {}

    def corroborate(self, captures: Sequence[str], cutoff: str, work: str, runner: Runner, shared: dict[str, Any]) -> list[str]:
        """The table of the captures that an index confirms, in a list, which is empty where none was searched."""
        if not self.indexes or self.trust is None:
            return []
        from pipelines import corroborating, moments

        found = corroborating.corroborate(self.indexes, self.trust, moments.instant(cutoff), captures, work, runner, shared)
        self.said += found.lines
        self.named |= {entry.name: entry.plain() for entry in self.trust.entries if entry.name in found.used}
        return [found.witnessed] if found.witnessed else []


def gather(
    order: "Order", sources: "Sequence[Source]", cutoff: str, known: Mapping[str, dict[str, Any]], work: str, runner: Runner
) -> Gathered:
    """Looks at what was handed in. `known` are the witnesses that the leaves of earlier versions name.

    Raises `UsageError` where it cannot be used, nobody says whose word it is, or a name would mean two witnesses.
    """
    handed = [*order.checksums, *order.timestamps, *order.indexes]
    if not handed and order.trust is None:
        return Gathered()
    if order.trust is None:
        raise UsageError(
            f"{handed[0]} was given as a witness without a trust list, and nobody says whose word it is. Name it in a list and give "
            "that with --trust."
        )
    if not handed:
        raise UsageError(f"--trust {order.trust} names witnesses, and none was given. Add --checksums, --timestamp or --index.")
    from pipelines import corroborating, witnessing

    trust, digest = witnessing.trust_list(order.trust)
    _check_names(trust, known)
    held = witnessing.file_witnesses(sources, trust, digest, order.trust, order.checksums, order.timestamps, cutoff)
    indexes = corroborating.survey_indexes(order.indexes, work, runner)
    identity = [held.identity, [digest for _, digest in indexes]]
    return Gathered(trust, order.indexes, held.witnesses, dict(held.used), list(held.said), identity)


def _check_names(trust: Trust, known: Mapping[str, dict[str, Any]]) -> None:
    for entry in trust.entries:
        if entry.name in known and known[entry.name] != entry.plain():
            before = known[entry.name]
            raise UsageError(
                f"the trust list calls {entry.name} what earlier leaves of this snapshot know as another witness ({before['custodian']}, "
                f"published {before['published']}); nobody could tell them apart. Give it another name."
            )
