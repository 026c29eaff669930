"""What a mix promises, what it may take, and how its shards are cut: the settings of `mix`, strictly checked."""

import math
import re
from fractions import Fraction
from typing import Annotated, Literal

import msgspec

UNITS = ("bytes", "documents", "tokens")
LARGEST_DENOMINATOR = 10**9
"""Finer floors are refused: sums of a row group's units times the denominator have to fit 64 bits where they are checked."""

_OPTIONS = {"parquet": ("page_index", "content_defined_chunking"), "tokens": ("sequence_length", "chunk_tokens")}
"""Settings that one format alone has."""

_FRACTION = re.compile(r"\d+/\d+|\d+(\.\d*)?|\.\d+")


def fraction(value: str | int | float) -> Fraction:
    """A share from its text: `"0.37"` is 37/100 and `"1/2"` a half. A float counts as its shortest decimal text.

    Raises `ValueError` for what is no number in [0, 1], or has a denominator above 10^9.
    """
    text = value.strip() if isinstance(value, str) else repr(value)
    try:
        if isinstance(value, bool) or (isinstance(value, str) and not _FRACTION.fullmatch(text)):
            raise ValueError
        share = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{value!r} is no share; a floor is read exactly, from a text such as 0.37 or 1/2") from error
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} lies outside 0 to 1; a share of the whole cannot")
    if share.denominator > LARGEST_DENOMINATOR:
        raise ValueError(f"{value!r} has a denominator above {LARGEST_DENOMINATOR:,}; give the share with fewer digits")
    return share


Share = str | int | float


class Ceilings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Largest share of the mix, in the first listed unit, of each origin that is not human; 0 keeps it out."""

    unknown: Annotated[Share, msgspec.Meta(description="documents whose origin nothing decides")] = "1"
    machine_generated: Annotated[Share, msgspec.Meta(description="documents tagged as written by a language model")] = "0"
    machine_translated: Annotated[Share, msgspec.Meta(description="documents tagged as translated by a machine")] = "0"

    def shares(self) -> dict[str, Fraction]:
        """The ceilings as exact shares, by origin. Raises `ValueError`."""
        return {origin: fraction(getattr(self, origin)) for origin in self.__struct_fields__}


class Mix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a mix promises, what it may take, and how its shards are cut."""

    floor: Annotated[
        Share, msgspec.Meta(description="least share of human units at every prefix of every shard, read exactly: 0.37 or 1/3")
    ] = "0.5"
    units: Annotated[
        tuple[Literal["bytes", "documents", "tokens"], ...],
        msgspec.Meta(description="units in which the floor holds, each by itself: bytes, documents, tokens", min_length=1),
    ] = ("bytes",)
    seed: Annotated[int, msgspec.Meta(description="orders the documents of a class, with their keys")] = 0
    budget: Annotated[
        int | None, msgspec.Meta(description="size of the mix in the first listed unit; null takes all that the floor admits")
    ] = None
    shortfall: Annotated[
        Literal["fail", "shrink", "repeat"],
        msgspec.Meta(
            description="what to do when the human side is too small for the budget: fail, shrink the budget, or repeat human documents"
        ),
    ] = "fail"
    max_epochs: Annotated[
        int, msgspec.Meta(description="how often a human document may stand in the mix, with `shortfall: repeat`", ge=1, le=10_000)
    ] = 4
    min_attestation: Annotated[
        Literal["declared", "captured", "released", "corroborated", "timestamped"],
        msgspec.Meta(description="weakest attestation that counts as human"),
    ] = "corroborated"
    ceilings: Annotated[
        Ceilings, msgspec.Meta(description="largest share of each origin beside human, in the first listed unit")
    ] = Ceilings()
    strata: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="what divides each origin into strata: of source, language, domain (the site), year and rarity (decile of the words' "
            "document frequency), or columns of --scores"
        ),
    ] = ("language", "year")
    temperature: Annotated[
        float,
        msgspec.Meta(
            description="a stratum's share of its class goes by its units to the power 1 / temperature; 1 keeps natural shares",
            ge=1,
        ),
    ] = 1.0
    weights: Annotated[
        dict[str, Share],
        msgspec.Meta(
            description="fixed shares of each class by `column=value`, all of one column of `strata`; what is not named has the rest, by temperature"
        ),
    ] = {}
    quota: Annotated[
        int,
        msgspec.Meta(
            description="least documents of each non-empty stratum of the human side, where a budget leaves some out", ge=0
        ),
    ] = 1
    allow_empty: Annotated[
        bool,
        msgspec.Meta(
            description="let strata of the human side fall to zero by the filter or the budget, which is an error otherwise"
        ),
    ] = False
    coverage: Annotated[
        bool, msgspec.Meta(description="count which rare words of the snapshot the mix keeps, where it leaves human documents out")
    ] = True
    where: Annotated[
        str | None,
        msgspec.Meta(description="SQL condition that a document must meet, over its columns and those of --scores; null takes all"),
    ] = None
    shuffle_buffer: Annotated[
        int,
        msgspec.Meta(
            description="rows of a reader's shuffle buffer under which the floor is to hold too, by a lead of human rows",
            ge=0,
            le=1 << 32,
        ),
    ] = 0
    human_apart: Annotated[
        bool,
        msgspec.Meta(
            description="write the human side once more by itself, in shards beside the mix, so that it alone can be repeated"
        ),
    ] = False
    format: Annotated[
        str, msgspec.Meta(description="format of the shards, a module of store/shards: parquet, jsonl, mds or tokens")
    ] = "parquet"
    page_index: Annotated[bool, msgspec.Meta(description="write Parquet's page index (format parquet)")] = False
    content_defined_chunking: Annotated[
        bool,
        msgspec.Meta(
            description="cut Parquet's pages by their content, so that a store that keeps equal blocks once keeps little (format parquet)"
        ),
    ] = False
    sequence_length: Annotated[int, msgspec.Meta(description="tokens of a row (format tokens)", ge=8, le=1 << 20)] = 2048
    chunk_tokens: Annotated[
        int,
        msgspec.Meta(description="longest run of one document's tokens before another may come (format tokens)", ge=1, le=1 << 20),
    ] = 4096
    shards: Annotated[int | None, msgspec.Meta(description="number of shards; null derives it from `shard_bytes`")] = None
    shard_bytes: Annotated[int, msgspec.Meta(description="text per shard in bytes, where `shards` is null", ge=1)] = 256_000_000
    chunk_bytes: Annotated[
        int, msgspec.Meta(description="longer documents are cut into rows of at most this many bytes", ge=4, le=1 << 24)
    ] = 16384
    tokenizer: Annotated[
        str | None,
        msgspec.Meta(description="tokenizer of the unit `tokens`: a tokenizer.json, a folder or a hub name of transformers"),
    ] = None

    def __post_init__(self) -> None:
        fraction(self.floor)
        self.ceilings.shares()
        if len(set(self.units)) < len(self.units):
            raise ValueError(f"units {', '.join(self.units)} name one unit twice; list each once")
        if ("tokens" in self.units) != (self.tokenizer is not None):
            raise ValueError("the unit `tokens` and a `tokenizer` need each other; name a tokenizer, or leave both out")
        if self.budget is not None and self.budget < 1:
            raise ValueError(f"budget {self.budget} is not positive; leave it out to take all that the floor admits")
        if self.shards is not None and not 1 <= self.shards <= 99999:
            raise ValueError(f"{self.shards} shards; give 1 to 99999, or leave it out to cut by shard_bytes")
        if self.where is not None and not self.where.strip():
            raise ValueError("where is empty; leave it out to take all documents")
        self._check_strata()
        self._check_format()

    def _check_strata(self) -> None:
        """Raises `ValueError` for strata and weights that contradict themselves."""
        if len({name.lower() for name in self.strata}) < len(self.strata):
            raise ValueError(f"strata {', '.join(self.strata)} name one column twice; list each once")
        if not math.isfinite(self.temperature):
            raise ValueError(f"temperature {self.temperature} is no number; give 1 for natural shares, more to even them out")
        shares = {name: fraction(share) for name, share in self.weights.items()}
        if not shares:
            return
        columns = {name.partition("=")[0] for name in shares if "=" in name}
        if len(columns) != 1 or any("=" not in name for name in shares) or not columns <= set(self.strata):
            raise ValueError(
                f"weights name {', '.join(shares)}; write COLUMN=VALUE, all of one column of strata ({', '.join(self.strata) or 'none'})"
            )
        if empty := [name for name, share in shares.items() if not share]:
            raise ValueError(
                f"weights give {empty[0]} a share of 0, which orders documents and leaves none out; use where for that"
            )
        if sum(shares.values()) > 1:
            raise ValueError(f"weights add up to {sum(shares.values())}; shares of a class are 1 together at most")

    def _check_format(self) -> None:
        """Raises `ValueError` for options that the format does not have: they would count for nothing."""
        given = {field.name: getattr(self, field.name) != field.default for field in msgspec.structs.fields(type(self))}
        for form, names in _OPTIONS.items():
            if self.format != form and (idle := [name for name in names if given[name]]):
                raise ValueError(f"{idle[0]} is an option of format {form}, and the format is {self.format}; leave it out")
        if self.format == "tokens" and self.units != ("tokens",):
            raise ValueError(
                f"format tokens holds the floor in tokens alone, and units are {', '.join(self.units)}; set units to tokens, or take another format"
            )
