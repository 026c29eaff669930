"""Layouts of tables by name: which column is what, and which attestation a source in that layout can reach.

A preset maps columns and attests nothing. Levels are those of `provenance.schema.ATTESTATIONS`; `released` and
`timestamped` bind a whole file and need a witness of before the cutoff, whatever dates the rows give.
"""

import functools
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store.reading import Read

OWN = ("dump", "language", "language_score", "token_count")
"""Columns that are carried as such; all others become metadata."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One layout. A column's name is empty where the layout has none that means it."""

    name: str
    reaches: str
    """The level that the source reaches by itself and by what, what more it can reach, and what it never can."""
    layout: str
    """Where the layout is documented."""
    text: str = "text"
    id: str = "id"
    url: str = "url"
    date: str = ""
    dump: str = "dump"
    language: str = "language"
    language_score: str = "language_score"
    token_count: str = "token_count"
    known_by: frozenset[str] = frozenset()
    """Columns that together occur in this layout alone: by them `auto` knows it. Empty: only by its name."""


_WEB_ROWS = "Never `corroborated`: a row has the text and no payload whose digest an index could confirm."

_ALL = (
    Preset(
        "auto",
        "The layout is known by its columns (FineWeb, RedPajama-v2, HPLT); in any other, `date` may be anything and is no capture time: "
        "rows reach `declared` only with `--declare` or a named `read.date_column`.",
        "columns of FineWeb's names",
    ),
    Preset(
        "fineweb",
        f"`declared`, by its own `date`, which is the WARC-Date. {_WEB_ROWS} `released` only with a checksum list of before the cutoff; "
        "the first release is of 2024-04.",
        "https://huggingface.co/datasets/HuggingFaceFW/fineweb",
        date="date",
        known_by=frozenset(("text", "id", "dump", "url", "date", "file_path")),
    ),
    Preset(
        "fineweb_2",
        f"`declared`, by its own `date`, which is the WARC-Date. {_WEB_ROWS} `released` only with a checksum list of before the cutoff; "
        "the first release is of 2024-12.",
        "https://huggingface.co/datasets/HuggingFaceFW/fineweb-2",
        date="date",
        token_count="",
    ),
    Preset(
        "redpajama_2",
        "`declared`, by its own `date_download`, which is the WARC-Date. Never `corroborated`: its `digest` is of the WET block before "
        "lines were removed, so that it can be recomputed from nothing in the row, and it is no payload digest. `released` only with a "
        "checksum list of before the cutoff; the first release is of 2023-10.",
        "https://huggingface.co/datasets/togethercomputer/RedPajama-Data-V2",
        text="raw_content",
        id="doc_id",
        date="date_download",
        dump="",
        token_count="",
        known_by=frozenset(("raw_content", "date_download", "digest", "cc_segment", "url")),
    ),
    Preset(
        "dolma",
        "Nothing by itself: `created` is the server's word or the time of conversion, `added` the time of collection, and neither is a "
        "capture. `declared` with `--declare`. Never `corroborated`. `released` only with a checksum list of before the cutoff; the "
        "first release is of 2023-08.",
        "https://github.com/allenai/dolma/blob/main/docs/data-format.md",
        url="",
        dump="",
        language="",
        language_score="",
        token_count="",
    ),
    Preset(
        "hplt_3",
        "`declared`, by its own `ts`, which is the WARC-Date. Never `corroborated`: a row has the text and no payload; its `f`, `o` and "
        "`s` say where the record lies, and freezing that archive can. `released` only with a checksum list of before the cutoff; "
        "version 3 is of 2025.",
        "https://hplt-project.org/datasets/v3.0",
        url="u",
        date="ts",
        dump="crawl_id",
        language="lang",
        language_score="prob",
        token_count="",
        known_by=frozenset(("f", "o", "s", "rs", "u", "c", "ts", "text", "lang", "prob")),
    ),
    Preset(
        "wikipedia",
        "pages-articles XML: `declared`, by the revision's own `<timestamp>`; the text's SHA-1 is checked where the dump gives it. "
        "`released` and `timestamped` bind the dump file (Wikimedia publishes MD5 and SHA-1 sums, the level needs SHA-256). Tables made "
        "of dumps have no time of their own: `declared` with `--declare`. Never `corroborated`.",
        "https://www.mediawiki.org/wiki/Help:Export",
        dump="",
        language="",
        language_score="",
        token_count="",
    ),
    Preset(
        "text",
        "`declared`, by the `date` of the file's row in `read.sidecar`; without one, with `--declare`. `released` and `timestamped` bind "
        "the text file itself. Never `corroborated`.",
        "one file is one document; the sidecar is Parquet, JSON Lines or CSV with `file_path`",
        date="date",
    ),
)
PRESETS = {preset.name: preset for preset in _ALL}


@functools.lru_cache(maxsize=1024)
def columns(names: Set[str], options: "Read") -> Preset:
    """The layout of a table (or row) with columns `names` (a frozenset): the preset that is named or, for `auto`, known
    by them; the columns that `read.*_column` name go over it."""
    chosen = PRESETS[options.preset]
    if options.preset == "auto":
        chosen = next((preset for preset in _ALL if preset.known_by and names >= preset.known_by), chosen)
    return replace(
        chosen,
        text=options.text_column or chosen.text,
        id=options.id_column or chosen.id,
        url=options.url_column or chosen.url,
        date=options.date_column or chosen.date,
    )
