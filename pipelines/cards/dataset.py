"""`README.md` of a mix: a dataset card as the Hugging Face Hub reads it, generated from the mix's manifest."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.cards import reading, supply, words
from store import shards

PATH = "README.md"
SHOWN = 30
"""Strata that the card lists; the rest are one line."""
BAR = 40
"""Characters of the longest bar of the histogram."""

LATEST = "2022-01-01T00:00:00.000000Z"
"""Snapshots with a later cutoff prove nothing to `verify` unless it is told to take them."""

SIZES = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"), (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"),
)  # fmt: skip
LARGEST = "n>1T"
"""The Hub's names of sizes by number of rows, each below the bound beside it."""


def written(body: Mapping[str, Any]) -> bytes:
    """The file's bytes, from the manifest without its list of files."""
    parts = [f"# {words.title(body)}", words.headline(body)]
    for heading, content in _sections(body):
        said = [paragraph for paragraph in content if paragraph]
        if said:
            parts += [f"## {heading}", *said]
    return (header(body) + "\n" + "\n\n".join(parts) + "\n").encode()


def header(body: Mapping[str, Any]) -> str:
    """The YAML block by which the Hub and `datasets` know what the files are."""
    import yaml

    form, mix = shards.named(body["config"]["mix"]["format"]), body["config"]["mix"]
    splits = {"default": form.pattern()} | ({"human": form.pattern(shards.HUMAN)} if mix["human_apart"] else {})
    rows = sum(shard["rows"] for shard in body["shards"])
    others = any(counts["documents"] for origin, counts in body["counts"]["origins"].items() if origin != "human")
    values: dict[str, Any] = {"license": "other", "license_name": "unspecified", "pretty_name": words.title(body)}
    if spoken := words.languages(body):
        values["language"] = spoken
    values["size_categories"] = [next((name for bound, name in SIZES if rows < bound), LARGEST)]
    values["task_categories"] = ["text-generation"]
    values["tags"] = list(words.TAGS)
    if others:
        values["annotations_creators"] = ["machine-generated"]
    if form.pattern() is not None:
        values["configs"] = [
            {"config_name": name, "data_files": [{"split": "train", "path": path}]} for name, path in splits.items()
        ]
    if form.pattern() is not None and form.features() is not None:
        # Without them a loader guesses from the first rows, and fails where a column has only nulls there.
        values["dataset_info"] = [{"config_name": name, "features": form.features()} for name in splits]
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)}---\n"


def _sections(body: Mapping[str, Any]) -> Sequence[tuple[str, Sequence[str]]]:
    stated, counts = body["stated"], body["counts"]
    return [
        (
            "What was asked for, and what it holds",
            [_units(body), _group("origin", counts["origins"]), _asked(body), words.repeats(body)],
        ),
        (
            "The human side, by who says its date and how well",
            [_group("witness", counts["witnesses"]), _group("attestation", counts["attestations"])],
        ),
        ("The human side by year", [words.old(body), histogram(body)]),
        ("Strata", [_strata(body)]),
        (
            "What is left, and what was left out",
            [_filter(body), *words.kept_out(stated), supply.clusters(stated["clusters"]), *words.near_human(stated)],
        ),
        ("Rare words", [_coverage(stated)]),
        ("What is proven, and what is not", [_proven(body), _verify(body), _tokens(body)]),
        ("How much is machine text: estimates", [words.purity(stated), words.machine_share(stated)]),
        ("What holds in which reading order", [reading.section(body), _chunks(body)]),
        ("Beside the mix", [words.alternative(stated), *words.blind(stated), _apart(body)]),
    ]


def _units(body: Mapping[str, Any]) -> str:
    floor = words.floor_text(body["floor"])
    rows = [
        [unit, made["human"], made["total"], words.share(made["human"], made["total"]), floor]
        for unit, made in body["realised"].items()
    ]
    return words.table(["unit", "human", "total", "human share", "floor"], rows)


def _asked(body: Mapping[str, Any]) -> str:
    """What was asked of the size, what could be reached, and what else could have been asked for."""
    plan, asked = body["stated"]["plan"], body["requested"]
    said = [words.table(*supply.asked(plan, body["realised"][plan["unit"]])), f"Worth {supply.effective(plan)}."]
    if asked["budget"] is not None:
        short = " It is:" if plan["alternatives"] else ""
        said.append(
            f"Were the human side too small for the size asked for, the mix was to `{asked['shortfall']}`, with at most {asked['max_epochs']} passes "
            f"over a human document.{short}"
        )
    said += [f"- {line}" for line in supply.alternatives(plan)]
    return "\n\n".join(said)


def _group(what: str, groups: Mapping[str, Mapping[str, int]]) -> str:
    columns = words.amounts(groups) or ["documents"]
    rows = [[words.cell(name), *(counts.get(column, 0) for column in columns)] for name, counts in groups.items()]
    return words.table([what, *columns], rows or [["none", *[0] * len(columns)]])


def histogram(body: Mapping[str, Any]) -> str:
    """Human documents by year of capture as bars of text."""
    found = words.years(body)
    if not found:
        return "There is no human text."
    most = max(counts["documents"] for counts in found.values())
    columns = [name for name in words.amounts(found) if name in ("bytes", "tokens")][:1]
    lines = [
        f"{year if year != 'none' else '   –'}  {'█' * -(-BAR * counts['documents'] // most if most else 0):<{BAR}}  {words.counted(counts['documents'], 'document')}"
        + "".join(f", {counts[column]:,} {column}" for column in columns)
        for year, counts in found.items()
    ]
    return "\n".join(["```text", *lines, "```"])


def _filter(body: Mapping[str, Any]) -> str:
    """What the way into the mix left of each origin, and the user's condition."""
    where, stated = body["config"]["mix"]["where"], body["stated"]
    said = [words.table(*supply.survival(stated["survival"], stated["filter"]))]
    if where:
        said.append(
            f"The filter, `--where`: <code>{html.escape(' '.join(where.split()))}</code>. Filters by quality prefer machine text."
        )
    for table in body["scores"]:
        columns = ", ".join(f"`{words.cell(name)}`" for name in table["columns"])
        said.append(
            f"Scores of {words.counted(table['rows'], 'document')} came from a table with the SHA-256 `{table['sha256']}` and the columns {columns}."
        )
    return "\n\n".join([*said, *supply.scores(stated["filter"])])


def _strata(body: Mapping[str, Any]) -> str:
    stated, mix = body["stated"], body["config"]["mix"]
    by = f"by {', '.join(mix['strata'])}, and its strata are drawn {words.drawn(mix)}" if mix["strata"] else "by nothing more"
    said = (
        f"Each origin is divided {by}. Offered, passed and chosen are documents, each counted once; the target is the stratum's share of its class, "
        "human or other, and what follows is in the mix, repeats included."
    )
    if stated["human_epochs"] > 1 and (mix["weights"] or mix["temperature"] != 1):
        said += f" Strata of the human side are repeated by those targets, each {mix['max_epochs']} times at most; what one cannot fill the others do."
    head, rows = supply.strata(stated["strata"], body["counts"]["strata"], SHOWN)
    return f"{said}\n\n{words.table(head, [[words.cell(str(label)), *rest] for label, *rest in rows])}"


def _coverage(stated: Mapping[str, Any]) -> str:
    """Which rare words are kept; empty where no human document was left out, or no word is rare."""
    found = stated["coverage"]
    if not found or not found["all"]["types"]:
        return ""
    documents, types = found["documents"], found["types"]
    said = (
        f"Of {words.counted(documents['before'], 'human document')} that could have entered, {documents['after']:,} did. What is rare goes first: here are "
        f"the words that few of them have. Of all {types['before']:,} words, however frequent, {types['kept']:,} are kept."
    )
    return f"{said}\n\n{words.table(*supply.coverage(found))}\n\nThe expectation: {found['expectation']}."


def _proven(body: Mapping[str, Any]) -> str:
    snapshot, mix = body["snapshot"], body["config"]["mix"]
    dated = "captured, or declared to have been written," if "declared" in body["counts"]["attestations"] else "captured"
    what = "What every span tagged `human` is of" if shards.named(mix["format"]).TOKENS else "Every row tagged `human`"
    return (
        f"{what} is a document of snapshot `{snapshot['id']}`, unchanged since it was frozen, eligible there, attested "
        f"`{mix['min_attestation']}` or better, and {dated} before {snapshot['cutoff']}. It says who dates the text; it does not say that a human wrote it. "
        "The tags of all others are estimates, and a stratum is a label that nothing proves."
    )


def _verify(body: Mapping[str, Any]) -> str:
    anchor, first = body["snapshot"]["id"], body["shards"][0]["path"] if body["shards"] else None
    options = f"--anchor {anchor}"
    if body["snapshot"]["cutoff"] > LATEST:
        options += f" --max-cutoff {body['snapshot']['cutoff']}"
    if body.get("round_trip") is False:
        options += " --texts SNAPSHOT"
    lines = [f"lowbackground verify {target} {options}" for target in ("MIX", *([f"MIX/{first}"] if first else []))]
    said = "checks this from the shards' own bytes and the proofs in `proof/`; of one shard too, with the files of its name in `proof/` beside it:"
    return f"`verify` {said}\n\n```bash\n" + "\n".join(lines) + "\n```"


def _tokens(body: Mapping[str, Any]) -> str:
    mix = body["config"]["mix"]
    if not shards.named(mix["format"]).TOKENS:
        known = f"Tokens are counted by the tokenizer `{mix['tokenizer']}`, the SHA-256 of `proof/tokenizer.bin`; another one counts others."
        return known if mix["tokenizer"] else ""
    said = (
        f"Rows are {mix['sequence_length']:,} token ids of the tokenizer `{mix['tokenizer']}`, which stands in `proof/tokenizer.bin`. The floor counts "
        "tokens that bear loss: special tokens, padding and the first position of a row are nobody's. Which tokens are of which document stands row "
        "by row in `attributes/`. "
    )
    if body.get("round_trip") is False:
        return said + (
            "*Not verifiable without the snapshot*: this tokenizer does not give back the text that it was given, so that a digest of the text cannot "
            "be recomputed from tokens; `verify --texts` tokenises the snapshot's texts again and compares."
        )
    if body.get("round_trip"):
        return (
            said
            + "The tokenizer gives back the text that it was given, so that `verify` recomputes each human document's digest from its tokens."
        )
    return said + (
        "Where this tokenizer does not give back a text that it was given, `verify` says so, and the mix is *not verifiable without the snapshot*: "
        "`verify --texts` tokenises the snapshot's texts again and compares."
    )


def _chunks(body: Mapping[str, Any]) -> str:
    mix = body["config"]["mix"]
    if shards.named(mix["format"]).TOKENS:
        return f"At most {mix['chunk_tokens']:,} tokens of a document stand together before another may come, in order and in one shard."
    return (
        f"A document longer than {mix['chunk_bytes']:,} bytes stands in several rows (`chunk` of `chunks`), in order and in one shard; rows of "
        "other documents may stand between them."
    )


def _apart(body: Mapping[str, Any]) -> str:
    if not body["config"]["mix"]["human_apart"]:
        return ""
    rows = sum(shard["human"]["rows"] for shard in body["shards"] if shard["human"])
    return (
        f"`{shards.HUMAN}` has the human side once more by itself, {rows:,} rows, each document once: for whoever wants to repeat human text and not the "
        "rest. Further passes over the mix repeat the other rows too."
    )
