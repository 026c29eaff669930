"""What of the floor holds in which reading order, for the card: each line computed from the manifest's `orders`.

The floor is p/q and `d = q * human - p * total` what stands above it. Held back rows and ranks are worked out row by row when the mix
is written (`provenance.orders`). What a longer shuffle buffer may miss follows from the longest row: of S rows that it holds back each is
worth at most (1 - floor) x that row. A global shuffle draws rows without replacement, so that the bound of Hoeffding holds, and Serfling's
sharper one: after n of N rows, the sum of what each row adds to or takes from the floor's surplus lies more than t below n times its mean with
probability at most exp(-2 t^2 / (n (1 - (n - 1) / N) L^2)), since one row adds at most (1 - floor) L and takes at most floor x L.
W. Hoeffding, "Probability inequalities for sums of bounded random variables", Journal of the American Statistical Association 58 (1963),
section 6; R. J. Serfling, "Probability inequalities for the sum in sampling without replacement", Annals of Statistics 2 (1974), corollary 1.1.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from pipelines.cards import words
from store import shards

BUFFERS = (1_000, 10_000)
"""Rows of a shuffle buffer for which the card says what may be missed: what trainers set."""
DRAWN = 10_000
"""Rows drawn of a global shuffle after which the card says what may be missed."""
DOUBT = Fraction(1, 100)
"""Probability with which a global shuffle may miss more."""
MOST_WORLDS = 16
"""Numbers of ranks that the card lists."""
BOUND = (
    "The bound of the global shuffle: Hoeffding 1963, *Probability inequalities for sums of bounded random variables*, J. Am. Stat. Assoc. 58, section 6, in the sharper form of "
    "Serfling 1974, *Probability inequalities for the sum in sampling without replacement*, Ann. Stat. 2, corollary 1.1"
)


class Missed(NamedTuple):
    """What a prefix of a global shuffle misses at most, but for `DOUBT`."""

    drawn: int
    """Rows of the prefix."""
    units: int
    share: float
    """The same as a share of what such a prefix holds on average."""


def buffered(held: int, longest: int, human: int, floor: Fraction) -> int:
    """Units that a reader with a shuffle buffer of `held` rows may miss at most, by the longest row and all human units."""
    return words.up((1 - floor) * min(held * longest, human))


def shuffled(rows: int, longest: int, human: int, total: int, floor: Fraction) -> Missed:
    """What a prefix of a global shuffle of all rows misses at most, with a probability of 1 - `DOUBT`."""
    drawn = min(DRAWN, max(1, rows // 2))
    if not rows or not total:
        return Missed(drawn, 0, 0.0)
    spread = longest * math.sqrt(drawn * (1 - (drawn - 1) / rows) * math.log(1 / DOUBT) / 2)
    surplus = float(drawn * (human - floor * total) / rows)
    missed = max(0.0, spread - surplus)
    return Missed(drawn, math.ceil(missed), missed / (drawn * total / rows))


def worlds(count: int) -> list[int]:
    """Numbers of ranks that so many shards can be dealt to evenly."""
    return [world for world in range(2, count + 1) if count % world == 0]


def holds(body: Mapping[str, Any]) -> words.Table:
    """Reading orders, and whether the floor holds in each."""
    floor, orders = Fraction(body["floor"]), body["orders"]
    rows: list[list[object]] = [
        ["any prefix of any shard, row by row", "holds exactly, in each unit of the floor"],
        ["any union or interleaving of shard prefixes (one reader per shard, rows in order)", "holds exactly: surpluses add up"],
        [f"whole shards dealt to ranks ({_worlds(len(body['shards']))})", "holds exactly: each shard stands alone"],
        *_buffers(body, floor),
        *(["a global shuffle, " + unit, _shuffle(body, unit, floor)] for unit in orders),
        ["every n-th row of a shard, or rows sorted by any column", "does not hold row by row; of ranks it was measured"],
    ]
    return ["order", "floor"], rows


def ranks(body: Mapping[str, Any]) -> words.Table:
    """What the poorest of several ranks that share the rows reads."""
    floor = Fraction(body["floor"])
    rows: list[list[object]] = [
        [f"{world}, {unit}", _rank(stated["strided"][world], unit, floor), _rank(stated["contiguous"][world], unit, floor)]
        for unit, stated in body["orders"].items()
        for world in stated["strided"]
    ]
    return ["ranks", "in turns (iterable)", "in runs (map-style)"], rows


def notes(body: Mapping[str, Any]) -> str:
    """What the table of reading orders rests on, and how readers count their buffers."""
    said = f"{BOUND}."
    if shards.named(body["config"]["mix"]["format"]).pattern() is not None:
        said += (
            " The rows of a shuffle buffer are those that a reader holds back: `IterableDataset.shuffle(buffer_size=B)` of `datasets` holds back half as "
            "many again as B."
        )
    return said


def shared(body: Mapping[str, Any]) -> str:
    """How ranks come to share the rows, in words."""
    if shards.named(body["config"]["mix"]["format"]).pattern() is None:
        return "Ranks that share the rows in order, measured: dealt in turns (by whole shards where the ranks divide their number), or cut into runs."
    return (
        "Ranks that share the mix through `datasets.distributed.split_dataset_by_node`, measured on these rows in order: an iterable dataset is "
        "dealt by whole shards where the ranks divide their number, and row by row in turns where they do not; a map-style one is cut into runs."
    )


def section(body: Mapping[str, Any]) -> str:
    """The card's section on reading orders: a table of what holds, and one of ranks that share the mix."""
    return "\n\n".join([words.table(*holds(body)), notes(body), shared(body), words.table(*ranks(body))])


def _worlds(count: int) -> str:
    found = worlds(count)
    if not found:
        return f"{words.counted(count, 'shard')}: one rank"
    more = " and more" if len(found) > MOST_WORLDS else ""
    return f"{count:,} shards go evenly to {', '.join(map(str, found[:MOST_WORLDS]))} ranks{more}"


def _buffers(body: Mapping[str, Any], floor: Fraction) -> list[list[object]]:
    rows: list[list[object]] = []
    for unit, stated in body["orders"].items():
        held = stated["shuffle_buffer"]
        if held >= stated["rows"]:
            rows.append([f"a shuffle buffer of any size, {unit}", "holds exactly"])
            continue
        if held:
            rows.append([f"a shuffle buffer of at most {words.counted(held, 'row')}, {unit}", "holds exactly"])
        for size in BUFFERS:
            if size > held:
                most = buffered(size, stated["longest_row"], body["realised"][unit]["human"], floor)
                rows.append(
                    [
                        f"a shuffle buffer of {size:,} rows, {unit}",
                        f"may miss {most:,} {unit} at most, at any moment; nothing once all is read",
                    ]
                )
    return rows


def _shuffle(body: Mapping[str, Any], unit: str, floor: Fraction) -> str:
    stated, made = body["orders"][unit], body["realised"][unit]
    found = shuffled(stated["rows"], stated["longest_row"], made["human"], made["total"], floor)
    sure = f"holds for the whole; with a probability of {float(100 * (1 - DOUBT)):g} %"
    after = f"after {words.counted(found.drawn, 'row')}"
    if not found.units:
        return f"{sure} it holds {after} too"
    if found.share >= floor:
        return f"holds for the whole; the bound says nothing {after}, they are too few"
    return f"{sure} {after} it misses {found.units:,} {unit} at most, {100 * found.share:.2g} % of what is read by then on average"


def _rank(stated: Mapping[str, Any], unit: str, floor: Fraction) -> str:
    if stated["whole_shards"]:
        return f"whole shards: holds; least human share {words.share_at_least(stated['human'], stated['total'])}"
    least = words.share_at_least(stated["human"], stated["total"])
    if stated["minimum_surplus"] >= 0:
        return f"holds here; least human share {least}"
    short = words.up(Fraction(-stated["minimum_surplus"], floor.denominator))
    return f"least human share of a rank {least}, {short:,} {unit} short at worst"
