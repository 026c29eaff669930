"""What became of every planted page, beside what should have: read from the run's own datasets, and from nothing else."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from pipelines.demo import plant

HUMAN_REFERENCE = "human, dropped for its reference"
UNKNOWN_REFERENCE = "unknown, dropped for its reference"
UNKNOWN_COPY = "unknown, dropped for the copy fetched first"
UNKNOWN_KEPT = "unknown, kept"
GENERATED_KEPT = "machine_generated, kept"
TRANSLATED_KEPT = "machine_translated, kept"
UNREADABLE = "reject at read"
NOT_A_PAGE = "reject at http"
LOST = "nothing: neither document nor reject"
WIDTH = 120
TITLE = "What was planted in the second crawl, and what became of it"

RIGHT: dict[str, tuple[str, ...]] = {
    plant.UNCHANGED: (HUMAN_REFERENCE,),
    plant.NEAR: (UNKNOWN_REFERENCE,),
    plant.COPIES: (HUMAN_REFERENCE,),
    plant.NEW_COPIES: (UNKNOWN_KEPT, UNKNOWN_COPY),
    plant.NEW: (UNKNOWN_KEPT,),
    plant.OLD: (UNKNOWN_KEPT,),
    plant.MACHINE: (GENERATED_KEPT, UNKNOWN_KEPT),
    plant.OLD_MACHINE: (GENERATED_KEPT, UNKNOWN_KEPT),
    plant.DISCLOSED: (GENERATED_KEPT,),
    plant.RESIDUE: (GENERATED_KEPT,),
    plant.TRANSLATED: (TRANSLATED_KEPT,),
    plant.DAMAGED: (UNREADABLE,),
    plant.CUT_OFF: (UNREADABLE,),
    plant.NO_PAGE: (NOT_A_PAGE,),
}
"""What may become of a page of each kind."""

_QUESTION = """
    SELECT p.url, t.origin, t.canonical, t.reason AS verdict, kept.url AS kept_url, held.url AS held_url,
        m.similarity, r.stage, r.reason, r.detail
    FROM planted p
    LEFT JOIN documents d ON d.url = p.url
    LEFT JOIN tags t ON t.key = d.key
    LEFT JOIN documents kept ON kept.key = t.canonical
    LEFT JOIN held ON held.key = t.canonical
    LEFT JOIN matches m ON m.key = d.key AND m.other = t.canonical
    LEFT JOIN (SELECT "offset", first(stage ORDER BY member_offset) AS stage, first(reason ORDER BY member_offset) AS reason,
        first(detail ORDER BY member_offset) AS detail FROM rejects GROUP BY 1) r ON r."offset" = p."offset"
    ORDER BY p.number
"""


@dataclass(frozen=True)
class Truth:
    """One planted page once it was crawled: a line of `truth.jsonl`. `offset` is its response's in the second crawl's file."""

    url: str
    kind: str
    reference: str | None
    date: str
    offset: int


@dataclass(frozen=True)
class Outcome:
    """One planted page, what became of it in words, the similarity to what it was dropped for, and why, as the run says."""

    truth: Truth
    became: str
    similarity: float | None
    why: str

    @property
    def right(self) -> bool:
        if self.truth.kind == plant.NEW_COPIES:
            return self.became == (UNKNOWN_COPY if self.truth.reference else UNKNOWN_KEPT)
        return self.became in RIGHT[self.truth.kind]


def outcomes(run: str, snapshot: str, truth: Sequence[Truth]) -> list[Outcome]:
    """What the run at `run` made of each planted page, in their order; `snapshot` is the one it was curated against.

    Raises `store.errors.LowbackgroundError` where either cannot be opened.
    """
    import pyarrow as pa

    from store.catalog import connect

    with connect(snapshot) as con:
        held = con.sql("SELECT key, url FROM documents").to_arrow_table()
    with connect(run) as con:
        planted = pa.Table.from_pylist([asdict(row) | {"number": number} for number, row in enumerate(truth)])
        con.from_arrow(planted).create("planted")
        con.from_arrow(held).create("held")
        answer: pa.Table = con.sql(_QUESTION).to_arrow_table()
    found: dict[str, list[dict]] = {}
    for row in answer.to_pylist():
        found.setdefault(row["url"], []).append(row)
    return [_outcome(row, found[row.url]) for row in truth]


def _outcome(truth: Truth, rows: Sequence[dict]) -> Outcome:
    row = rows[0]
    if len(rows) > 1:
        return Outcome(truth, f"{len(rows)} documents of one address", None, "")
    if row["origin"] is None:
        rejected = row["stage"] is not None
        return Outcome(
            truth, f"reject at {row['stage']}" if rejected else LOST, None, f"{row['reason']}: {row['detail']}" if rejected else ""
        )
    if row["canonical"] is None:
        fate = "kept"
    else:
        other, place = (row["held_url"], "its reference") if row["held_url"] else (row["kept_url"], "the copy fetched first")
        fate = f"dropped for {place if other == truth.reference else other or 'a page that is nowhere'}"
    return Outcome(truth, f"{row['origin']}, {fate}", row["similarity"], row["verdict"] or "")


def wrong(found: Iterable[Outcome]) -> list[Outcome]:
    """The outcomes that are not what the kind of page asks for."""
    return [outcome for outcome in found if not outcome.right]


def by_kind(found: Iterable[Outcome]) -> list[tuple[str, list[Outcome]]]:
    """The outcomes of each kind that was planted, in the order of `RIGHT`."""
    kinds: dict[str, list[Outcome]] = {kind: [] for kind in RIGHT}
    for outcome in found:
        kinds[outcome.truth.kind].append(outcome)
    return [(kind, members) for kind, members in kinds.items() if members]


def described(members: Sequence[Outcome]) -> list[tuple[str, int]]:
    """Each thing that became of some pages and how many pages that were, the most frequent first; rejects with their reason."""
    names = []
    for outcome in members:
        reason = f" ({outcome.why.split(':')[0]})" if outcome.became.startswith("reject") else ""
        names.append(outcome.became + reason)
    return sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))


def show(found: Sequence[Outcome]) -> None:
    """Prints the closing table, and every wrong outcome with its address below it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title=TITLE, title_justify="left")
    table.add_column("planted")
    table.add_column("pages", justify="right")
    table.add_column("what became of them")
    table.add_column("as expected", justify="right")
    for kind, members in by_kind(found):
        lines = [f"{count:>3} {what}" for what, count in described(members)]
        similarities = [outcome.similarity for outcome in members if outcome.similarity is not None and kind == plant.NEAR]
        if similarities:
            lines.append(f"    similarity {min(similarities):.2f} to {max(similarities):.2f}")
        right = sum(outcome.right for outcome in members)
        table.add_row(kind, str(len(members)), "\n".join(lines), f"{right} of {len(members)}")
    console = Console(highlight=False)
    # A file or a pipe has no width of its own, and 80 columns break most lines.
    console.width = console.width if console.is_terminal else max(console.width, WIDTH)
    console.print(table)
    console.print(
        "Machine text that discloses nothing stays `unknown`: no detector is sure of it. It enters the mix on the side that the floor bounds.",
        soft_wrap=True,
    )
    for outcome in wrong(found):
        asked = " or ".join(RIGHT[outcome.truth.kind])
        console.print(
            f"WRONG: {outcome.truth.url} ({outcome.truth.kind}): {outcome.became}; right is {asked}. {outcome.why}",
            markup=False,
            soft_wrap=True,
        )
