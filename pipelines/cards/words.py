"""What the cards of a mix say in words, from its manifest without the list of files."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from pipelines import expecting, purifying

Table = tuple[list[str], list[list[object]]]
"""Heads of columns, and rows of as many cells."""

MACHINE = ("machine_generated", "machine_translated")
TAGS = ("lowbackground", "data-provenance", "human-text", "proven-floor")
AMOUNTS = ("documents", "rows", "bytes", "tokens")
"""What groups of rows are counted in, as far as a format has it."""

KEPT_OUT = {
    "the snapshot": {
        "redacted": "their texts were removed from the snapshot",
        "revoked": "all that proves them was revoked",
        "near_copies": "they are near copies of human documents that stand in the mix as often as may be",
    },
    "the runs": {
        "origin_not_allowed": "their origin has no place in the mix",
        "crawled_revoked": "their keys were revoked",
        "equal_to_human": "they equal a human document of the snapshot",
        "equal_to_other": "they equal another document of the runs",
    },
}
"""Why documents did not enter though the floor had room for them, in words, by where they stand."""


def share(part: int, whole: int) -> str:
    """A share of the whole in percent."""
    return f"{100 * part / whole:.2f} %" if whole else "none"


def share_at_least(part: int, whole: int) -> str:
    """The same rounded down, where rounding up could hide that a floor was missed."""
    return f"{10_000 * part // whole / 100:.2f} %" if whole else "none"


def counted(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def floor_text(floor: str) -> str:
    """A floor as a percentage where that is exact to two places, else as the fraction it is."""
    value = Fraction(floor)
    return f"{float(100 * value):g} %" if (10_000 * value).denominator == 1 else str(value)


def cell(text: str) -> str:
    """A name as it may stand in a Markdown table."""
    for mark in "\\|[`":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.replace("<", "&lt;").split()) or "(none)"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table. Integers have thousands separators; texts stand as they are given."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        lines.append(f"| {' | '.join(f'{value:,}' if isinstance(value, int) else str(value) for value in row)} |")
    return "\n".join(lines)


def amounts(groups: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Which of `AMOUNTS` some groups are counted in."""
    return [name for name in AMOUNTS if any(name in counts for counts in groups.values())]


def title(body: Mapping[str, Any]) -> str:
    """The mix's name for people."""
    return f"A mix with at least {floor_text(body['floor'])} of verified human text"


def headline(body: Mapping[str, Any]) -> str:
    """One sentence: floor and realised share in each unit."""
    made = ", ".join(f"{share(of['human'], of['total'])} of {of['total']:,} {unit}" for unit, of in body["realised"].items())
    shards, floor = counted(len(body["shards"]), "shard"), floor_text(body["floor"])
    return f"Human: {made}, in {shards}; at least {floor} of every prefix of every shard."


def languages(body: Mapping[str, Any]) -> list[str]:
    """ISO codes of the languages that the strata name, sorted; none where they do not divide by language."""
    divided = list(body["config"]["mix"]["strata"])
    if "language" not in divided:
        return []
    place = divided.index("language") + 1
    found = {label.split("/")[place] for label in body["counts"]["strata"]}
    return sorted(code for code in found if 2 <= len(code) <= 3 and code.isascii() and code.isalpha() and code.islower())


def kept_out(stated: Mapping[str, Any]) -> list[str]:
    """Sentences on the documents of the snapshot, and on those of the runs, that were not drawn though the floor had room for them."""
    sentences = []
    for source, reasons in KEPT_OUT.items():
        found = {name: stated["kept_out"].get(name, 0) for name in reasons}
        said = [f"{found[name]:,} because {why}" for name, why in reasons.items() if found[name]]
        if said:
            sentences.append(f"Documents of {source} that were not drawn: {', '.join(said)}.")
    return sentences


def near_human(stated: Mapping[str, Any]) -> list[str]:
    """A sentence on the other rows that are near copies of human documents; none for none."""
    found = stated["near_human"]
    if not found["documents"]:
        return []
    return [
        f"Near copies of human documents among the others: {found['documents']:,} documents, {found['bytes']:,} bytes. The match found "
        "them, and `match.near: keep` or `--protect` kept them in the runs; they count as what their tags say, not as human."
    ]


def blind(stated: Mapping[str, Any]) -> list[str]:
    """A sentence on matches that were not measured; none where all were."""
    if not stated["estimated_against"]:
        return []
    names = " and ".join(f"`{name}`" for name in stated["estimated_against"])
    return [
        f"Copies of documents of {names} were found without their texts, which that index does not hold: equal texts by their digests, and "
        "near copies by an estimate from the sketches. A near copy close to the threshold may stand here, or be missing."
    ]


def repeats(body: Mapping[str, Any]) -> str:
    """How often human documents stand in the mix, and what that is worth."""
    epochs = body["stated"]["human_epochs"]
    if epochs <= 1:
        return "No document is repeated."
    return (
        f"Human documents are repeated, {epochs:g} times on average, each in one shard and a whole pass over its human side apart; "
        f"by the data-constrained law they are worth {body['stated']['plan']['effective']['human']:,} {body['units'][0]} of text read once."
    )


def alternative(stated: Mapping[str, Any]) -> str:
    """The human side alone, repeated, with what it is worth."""
    other = stated["alternative"]
    return (
        f"The alternative without any other text is {other['what']}: {other['unique']:,} {other['unit']} read {other['epochs']:g} times are "
        f"{other['total']:,} {other['unit']}, worth {other['effective']:,} read once ({other['law']})."
    )


def purity(stated: Mapping[str, Any]) -> str:
    """The machine share that hides in the human side, and what the number is."""
    found = stated["purity"]
    said = f"Machine share of the human side: {purifying.line(found)}."
    if not found["estimated"]:
        return said
    return (
        f"{said} It is estimated from the scores of a sample of {found['documents']:,} human documents, by mixture likelihood with a bootstrap of "
        "hosts, in documents: by bytes or by sites it may be twice or half of it. Text of generators that the detectors have never seen is in "
        "no interval. Nothing of what is proven above rests on it."
    )


def machine_share(stated: Mapping[str, Any]) -> str:
    """The expected machine share of the whole mix, and what the number is."""
    said = f"Expected machine share of the whole mix: {expecting.line(stated['machine_share'])}."
    if stated["machine_share"]["share"] is None:
        return said
    return (
        f"{said} The sides are put together by their {stated['machine_share']['unit']}, and the ends of the interval are those of all parts at "
        "their worst at once."
    )


def years(body: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """The human side by year of capture, each year from the first to the last, and `none` for what has no date where there is such."""
    found = body["counts"]["years"]
    dated = sorted(int(year) for year in found if year.isdigit())
    span = [f"{year:04d}" for year in range(dated[0], dated[-1] + 1)] if dated else []
    nothing = dict.fromkeys(amounts(found), 0)
    return {year: dict(found.get(year, nothing)) for year in [*span, *(["none"] if "none" in found else [])]}


def old(body: Mapping[str, Any]) -> str:
    """That a floor of frozen text is one of old knowledge, with the years."""
    dated = [year for year in years(body) if year != "none"]
    until = (
        f"No human text here was captured after {dated[-1]}"
        if dated
        else f"No human text here is later than {body['snapshot']['cutoff'][:10]}"
    )
    return (
        f"A floor of frozen text is a floor of old knowledge. {until}: what happened, what was named and how people wrote since then can only "
        "stand in the other rows, and at every prefix they have at most the share that the floor leaves them."
    )


def drawn(mix: Mapping[str, Any]) -> str:
    """By what rule the strata of an origin are drawn."""
    said = "by their size" if mix["temperature"] == 1 else f"by their size to the power 1/{mix['temperature']:g}"
    fixed = ", ".join(f"{share} for {name}" for name, share in mix["weights"].items())
    return f"with fixed shares ({fixed}) and the rest {said}" if fixed else said


def steps(body: Mapping[str, Any]) -> list[str]:
    """What was done to the texts, each step in a sentence."""
    mix = body["config"]["mix"]
    said = [
        f"Documents of the snapshot enter as human if they are eligible there and attested {mix['min_attestation']!r} or better; documents of the "
        "runs if the runs kept them, their origin has room under its ceiling, and their text equals none that is in."
    ]
    if mix["where"]:
        said.append(f"Documents had to meet a condition of the user's: {mix['where']}")
    if mix["strata"]:
        said.append(f"Each origin is divided into strata by {', '.join(mix['strata'])}, drawn {drawn(mix)}.")
    if mix["format"] == "tokens":
        said.append(
            f"Texts are tokenised by the tokenizer {mix['tokenizer']} and packed into rows of {mix['sequence_length']:,} tokens."
        )
    else:
        said.append(f"Documents longer than {mix['chunk_bytes']:,} bytes are cut at a character into rows of one shard, in order.")
    return said


def biases(body: Mapping[str, Any]) -> list[str]:
    """Known biases, from the manifest's numbers."""
    said = [old(body)]
    if spoken := languages(body):
        said.append(f"Languages: {', '.join(spoken)}, as a classifier of languages told them.")
    if body["config"]["mix"]["where"]:
        said.append("A filter of the user's decided too: filters by quality prefer machine text and drop rare text first.")
    return said


def limits(body: Mapping[str, Any]) -> list[str]:
    """Known limits, from the manifest's numbers."""
    return [
        "The floor says that human rows were unchanged since they were frozen and who dates them, not that a human wrote them.",
        purity(body["stated"]),
        machine_share(body["stated"]),
        "The floor holds at every prefix of every shard and of their unions; README.md says what holds in other reading orders.",
        *near_human(body["stated"]),
        *blind(body["stated"]),
    ]


def origin_of(label: str) -> str:
    """The origin that a stratum divides."""
    return label.split("/", 1)[0]


def up(value: float | Fraction) -> int:
    """A shortfall in whole units, rounded up."""
    return math.ceil(value)
