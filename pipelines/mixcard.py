"""The dataset card of a mix, generated from its manifest: what is promised, what is realised, what holds in which order."""

from fractions import Fraction
from typing import Any

from pipelines import purifying
from store import shards

TEMPLATE = """---
license: other
license_name: unspecified
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*{suffix}
---

# A mix with a floor of verified human text

{headline}

| unit | human | total | human share | floor |
|---|---|---|---|---|
{units}

| origin | documents | rows | bytes |
|---|---|---|---|
{origins}

The human side, by who says its date and how well:

| witness | documents | bytes |
|---|---|---|
{witnesses}

| attestation | documents | bytes |
|---|---|---|
{attestations}
{kept_out}{near_human}
## What is proven, and what is not

Every row tagged `human` is a document of snapshot `{snapshot}`, unchanged since it was frozen, eligible there, attested
`{level}` or better, and {dated} before {cutoff}. `lowbackground verify MIX --anchor {snapshot}` checks this from the
shards' own bytes and the proofs in `proof/`. It says who dates the text; it does not say that a human wrote it. The tags
of all other rows are estimates. A floor of frozen text is a floor of old knowledge.

## How pure the human side is: an estimate

{purity}

## What holds in which reading order

| order | floor |
|---|---|
| any prefix of any shard, row by row | holds exactly, in each unit above |
| any interleaving of shard prefixes (one reader per shard, rows in order) | holds exactly: surpluses add up |
| every n-th row of a shard | does not hold row by row |
| a shuffle buffer of S rows | may fall short by what S rows weigh; the total is unchanged |
| a global shuffle | holds for the whole, and on average for a part |

A document longer than {chunk_bytes:,} bytes stands in several rows (`chunk` of `chunks`), in order and in one shard; rows of
other documents may stand between them. {repeats}

## Beside the mix

{alternative}
{estimated}"""

KEPT_OUT = {
    "the snapshot": {"redacted": "their texts were removed from the snapshot", "revoked": "all that proves them was revoked"},
    "the runs": {
        "origin_not_allowed": "their origin has no place in the mix",
        "crawled_revoked": "their keys were revoked",
        "equal_to_human": "they equal a human document of the snapshot",
        "equal_to_other": "they equal another document of the runs",
    },
}
"""Why documents did not enter though the floor had room for them, in words, by where they stand."""


def card(body: dict[str, Any], format_name: str) -> str:
    """The card's text, from the manifest without its list of files."""
    counts, mix = body["counts"], body["config"]["mix"]
    return TEMPLATE.format(
        suffix=shards.named(format_name).SUFFIX,
        headline=headline(body),
        units="\n".join(
            f"| {unit} | {made['human']:,} | {made['total']:,} | {share(made['human'], made['total'])} | {body['floor']} |"
            for unit, made in body["realised"].items()
        ),
        origins=_table(counts["origins"], ("documents", "rows", "bytes")),
        witnesses=_table(counts["witnesses"], ("documents", "bytes")),
        attestations=_table(counts["attestations"], ("documents", "bytes")),
        snapshot=body["snapshot"]["id"],
        level=mix["min_attestation"],
        dated="captured, or declared to have been written," if "declared" in counts["attestations"] else "captured",
        cutoff=body["snapshot"]["cutoff"],
        chunk_bytes=mix["chunk_bytes"],
        repeats=_repeats(body),
        alternative=_alternative(body),
        purity=_purity(body["stated"]["purity"]),
        kept_out=_kept_out(body["stated"]),
        near_human=_near_human(body["stated"]),
        estimated=_estimated(body["stated"]),
    )


def _table(groups: dict[str, dict[str, int]], columns: tuple[str, ...]) -> str:
    lines = [f"| {_cell(name)} | {' | '.join(f'{counts[column]:,}' for column in columns)} |" for name, counts in groups.items()]
    return "\n".join(lines or [f"| none |{' 0 |' * len(columns)}"])


def _cell(text: str) -> str:
    """A name as it may stand in a Markdown table."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split()) or "(none)"


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "none"


def headline(body: dict[str, Any]) -> str:
    """One sentence: floor and realised share in each unit."""
    floor = float(Fraction(body["floor"]))
    made = ", ".join(f"{share(of['human'], of['total'])} of {of['total']:,} {unit}" for unit, of in body["realised"].items())
    shards_ = len(body["shards"])
    return f"Human: {made}, in {shards_} shard{'s' * (shards_ != 1)}; at least {100 * floor:g} % of every prefix of every shard."


def _repeats(body: dict[str, Any]) -> str:
    epochs = body["stated"]["human_epochs"]
    if epochs <= 1:
        return "No document is repeated."
    return (
        f"Human documents are repeated, {epochs:g} times on average, each in one shard and a whole pass over its human side apart; "
        f"by the data-constrained law they are worth {body['stated']['human_effective']:,} {body['units'][0]} of text read once."
    )


def _kept_out(stated: dict[str, Any]) -> str:
    """Paragraphs on the documents of the snapshot, and on those of the runs, that were not drawn though the floor had room for them;
    empty for none."""
    paragraphs = []
    for source, reasons in KEPT_OUT.items():
        said = [f"{stated['kept_out'][name]:,} because {why}" for name, why in reasons.items() if stated["kept_out"][name]]
        if said:
            paragraphs.append(f"\nDocuments of {source} that were not drawn: {', '.join(said)}.\n")
    return "".join(paragraphs)


def _near_human(stated: dict[str, Any]) -> str:
    """A paragraph on the other rows that are near copies of human documents; empty for none."""
    found = stated["near_human"]
    if not found["documents"]:
        return ""
    return (
        f"\nNear copies of human documents among the others: {found['documents']:,} documents, {found['bytes']:,} bytes. The match found "
        "them, and `match.near: keep` or `--protect` kept them in the runs; they count as what their tags say, not as human.\n"
    )


def _purity(purity: dict[str, Any]) -> str:
    """The machine share that hides in the human side, and what the number is."""
    said = f"Machine share of the human side: {purifying.line(purity)}."
    if not purity["estimated"]:
        return said
    return (
        f"{said} It is estimated from the scores of a sample of {purity['documents']:,} human documents, by mixture likelihood with a bootstrap of "
        "hosts, in documents: by bytes or by sites it may be twice or half of it. Text of generators that the detectors have never seen is in "
        "no interval. Nothing of what is proven above rests on it."
    )


def _estimated(stated: dict[str, Any]) -> str:
    """A paragraph on matches that were not measured; empty where all were."""
    blind = stated["estimated_against"]
    if not blind:
        return ""
    names = " and ".join(f"`{name}`" for name in blind)
    return (
        f"\nCopies of documents of {names} were found without their texts, which that index does not hold: equal texts by their digests, and "
        "near copies by an estimate from the sketches. A near copy close to the threshold may stand here, or be missing.\n"
    )


def _alternative(body: dict[str, Any]) -> str:
    other = body["stated"]["alternative"]
    return (
        f"The alternative without any other text is {other['what']}: {other['unique']:,} {other['unit']} read {other['epochs']:g} times are "
        f"{other['total']:,} {other['unit']}, worth {other['effective']:,} read once ({other['law']})."
    )
