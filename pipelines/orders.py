"""What of the floor holds under which reading order, for a mix's manifest and card: from the lengths that `WriteShard` leaves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from provenance import mixture
from provenance.orders import Orders
from store import files, tables


def written(folder: str, name: str, lengths: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Leaves the lengths of a shard's rows, in their order, below a stage's folder: human units and all units by unit. Their path there."""
    columns = {
        f"{unit}_{side}": pa.array(values, pa.int64())
        for unit, sides in lengths.items()
        for side, values in zip(("human", "total"), sides, strict=True)
    }
    table = pa.table(columns)
    return str(tables.write(folder, f"lengths/{name}.parquet", table, table.schema)["path"])


def realised(folder: str, receipts: Mapping[str, Mapping[str, Any]], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's field `orders`: by unit, what `Orders.stated` says of the shards as they were written.

    `folder` is that of the stage of `WriteShard`, `receipts` are its receipts in the order of the shards, and `plain` is the section `mix`
    of the configuration. One shard's lengths are in memory at a time.
    """
    shards = [receipt["shard"] for receipt in receipts.values()]
    paths = [receipt["lengths"] for receipt in receipts.values()]
    floor, units = mixture.fraction(plain["floor"]), _listed(plain)
    found = {unit: Orders(floor, sum(shard["rows"] for shard in shards), len(shards)) for unit in units}
    for path in paths:
        table = tables.read([files.join(folder, path)])
        for unit, orders in found.items():
            orders.take(table[f"{unit}_human"].to_numpy(), table[f"{unit}_total"].to_numpy())
    return {unit: orders.stated() for unit, orders in found.items()}


def _listed(plain: Mapping[str, Any]) -> Sequence[str]:
    units: Sequence[str] = plain["units"]
    return units
