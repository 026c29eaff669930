"""Evidence signals: one file here is one signal; nothing lists them but the folder.

A signal module has

- `NAME`: its file's name; `VERSION`: changes whenever a reading may change;
- `STAGE`: "page" (runs in the fused pass, on `PAGE` columns), "match" (after matching, on `MATCHED`), "model" (slow: only for
  documents that the cheap signals leave open, on `MODEL`) or "crowd" (what the whole crawl shows, on `CROWD`);
- `COLUMNS`: the input columns that it reads;
- `STATISTICAL`: whether it is a detector of model text, which never votes on what equals a snapshot document nor at freeze;
- a function of the module's own name, `(batch, tools) -> RecordBatch` of `READING` columns. It gives at most one row
  a document and a row only where the signal applies. An optional fourth column `group` (string) chooses the
  calibration table of the row, such as a language.

A module whose name starts with an underscore is no signal.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from provenance.decode import clean
from provenance.schema import TIME

if TYPE_CHECKING:
    from provenance.calibration import Calibration

STAGES = ("page", "match", "model", "crowd")

PAGE = pa.schema(
    [
        ("key", pa.string()),
        ("url", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("word_count", pa.int32()),
        ("date", TIME),
        ("date_end", TIME),
        ("attestation", pa.string()),
        ("html", pa.string()),
        ("http_headers", pa.string()),
        ("metadata", pa.string()),
    ]
)
"""Columns of a page-stage batch; `html` is the decoded document and `http_headers` a JSON object of lower-cased names,
both empty where there are none."""

MATCHED = pa.schema(
    [
        ("key", pa.string()),
        ("date", TIME),
        ("date_end", TIME),
        ("attestation", pa.string()),
        ("word_count", pa.int32()),
        ("cutoff", TIME),
        ("identical", pa.bool_()),
        ("reference", pa.string()),
        ("reference_attestation", pa.string()),
        ("similarity", pa.float64()),
        ("containment", pa.float64()),
        ("exact", pa.bool_()),
    ]
)
"""Columns of a match-stage batch; `identical` means that the identity form equals that of `reference`, a document of the
snapshot that is eligible as human, and `exact` that the shares were measured from the texts and not estimated from the sketches."""

MODEL = pa.schema([PAGE.field(name) for name in ("key", "text", "language", "word_count")])
"""Columns of a model-stage batch."""

CROWD = pa.schema(
    [
        ("key", pa.string()),
        ("site", pa.string()),
        ("site_pages", pa.int32()),
        ("others", pa.int32()),
        ("others_above", pa.int32()),
        ("languages", pa.list_(pa.string())),
        ("ways", pa.string()),
        ("hosts", pa.int32()),
    ]
)
"""Columns of a crowd-stage batch: the document's host, how many of its kept pages have a combined score, how many of these are other pages
and how many of those score above 90 % of human text (null where there are too few); the languages of the group of parallel pages that it
belongs to, how they were found, in words, and on how many hosts they lie (null where it has no group)."""

INPUTS = {"page": PAGE, "match": MATCHED, "model": MODEL, "crowd": CROWD}
"""Columns of a batch of each stage."""

READING = pa.schema([("key", pa.string()), ("value", pa.float64()), ("detail", pa.string())])


@dataclass(frozen=True, slots=True)
class Tools:
    """What is loaded once and lent to every signal; a signal whose tool is None gives no readings.

    `origin_model` is a fastText model (an object whose `predict(line, k)` gives labels and probabilities); what the others
    are, the modules of the signals say that use them.
    """

    calibration: "Calibration"
    origin_model: Any | None = None
    character_model: Any | None = None
    stylometry: Any | None = None
    language_model: Any | None = None
    watermark: Any | None = None


@cache
def found() -> Mapping[str, ModuleType]:
    """Every signal of this folder by name, in the order of the names.

    Raises `ValueError` for a module that breaks the contract in a way that would make its rows unusable.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    for name, module in modules.items():
        if (
            getattr(module, "NAME", None) != name
            or getattr(module, "STAGE", None) not in STAGES
            or not callable(getattr(module, name, None))
        ):
            raise ValueError(
                f"provenance/signals/{name}.py is no signal: NAME, STAGE or the function {name} is missing or wrong; "
                "evidence would go unread. Follow the contract in provenance/signals/__init__.py, or start the name with an underscore."
            )
    return modules


def versions() -> dict[str, str]:
    """Version of each signal by name."""
    return {name: module.VERSION for name, module in found().items()}


def readings(rows: list[tuple[str, float, str]]) -> pa.RecordBatch:
    """A batch of `READING` from (key, value, detail) rows.

    A detail may quote what a page wrote as an escape of JSON, such as a lone surrogate, which has no UTF-8 form: it is U+FFFD in the batch.
    """
    keys, values, details = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.record_batch(
        [pa.array(keys, pa.string()), pa.array(values, pa.float64()), pa.array([clean(detail) for detail in details], pa.string())],
        schema=READING,
    )
