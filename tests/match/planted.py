"""Texts and near copies of them: made-up ones in four scripts, and edits of any text by words, sentences, surroundings and order."""

import random
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

SENTENCE = re.compile(r"[^.!?。！？]+[.!?。！？»“”」』\"'\s]*", re.S)
SCRIPTS = {
    "Latin": "abcdefghilmnoprstuväöü",
    "Cyrillic": "абвгдежзиклмнопрстуфхчшыэюя",
    "Han": "".join(map(chr, range(0x4E00, 0x5600))),
    "Kana": "".join(map(chr, [*range(0x3042, 0x3094), *range(0x30A2, 0x30F4)])),
}
STOPS = {"Latin": ". ", "Cyrillic": ". ", "Han": "。", "Kana": "。"}
VOCABULARY = 4000


def is_spaced(script: str) -> bool:
    return script in ("Latin", "Cyrillic")


def vocabulary(script: str) -> list[str]:
    """Words of a script, the same ones always."""
    rng = random.Random(f"vocabulary of {script}")
    letters = SCRIPTS[script]
    lengths = (2, 9) if is_spaced(script) else (1, 3)
    return sorted({"".join(rng.choice(letters) for _ in range(rng.randint(*lengths))) for _ in range(VOCABULARY)})


WORDS = {script: vocabulary(script) for script in SCRIPTS}


def prose(script: str, seed: object, words: int) -> str:
    """Sentences whose words are as unevenly frequent as those of a language; two seeds share next to no run of five tokens."""
    rng = random.Random(f"{script} {seed}")
    bag, sentences = WORDS[script], []
    while words > 0:
        length = min(words, rng.randint(7, 19))
        # A power of a uniform number falls off as word frequencies do.
        chosen = [bag[int(len(bag) * rng.random() ** 2)] for _ in range(length)]
        sentences.append((" " if is_spaced(script) else "").join(chosen).capitalize())
        words -= length
    stop = STOPS[script]
    return stop.join(sentences) + stop.strip()


def sentences(text: str) -> list[str]:
    """The text cut after its full stops; what joins to the text."""
    return SENTENCE.findall(text) or [text]


def units(text: str) -> list[str]:
    """The text cut into words with what follows them, or single characters where words are not spaced; what joins to the text."""
    return re.findall(r"[\u3000-\u9fff\uf900-\ufaff\uff00-\uffef]|[^\s\u3000-\u9fff\uf900-\ufaff\uff00-\uffef]+\s*|\s+", text)


Edit = Callable[[str, float, random.Random, Sequence[str]], str]


def edit_words(text: str, strength: float, rng: random.Random, others: Sequence[str]) -> str:
    """Replaces, drops or doubles words here and there."""
    found, foreign = units(text), units(rng.choice(others))
    for place in range(len(found)):
        if rng.random() < strength * 0.1:
            other = rng.choice(foreign)
            found[place] = rng.choice((other, "", found[place] + other))
    return "".join(found)


def drop_sentences(text: str, strength: float, rng: random.Random, _: Sequence[str]) -> str:
    """Leaves out sentences, each with the same luck."""
    found = sentences(text)
    return "".join(sentence for sentence in found if rng.random() >= strength * 0.55) or found[0]


def surround(text: str, strength: float, rng: random.Random, others: Sequence[str]) -> str:
    """Puts another text's beginning before it and its end after it, as a menu and a footer would stand."""
    room = int(len(text) * strength)
    before, after = rng.choice(others), rng.choice(others)
    cut = rng.randint(0, room)
    return f"{before[:cut]}\n\n{text}\n\n{after[len(after) - min(room - cut, len(after)) :]}"


def reorder(text: str, strength: float, rng: random.Random, _: Sequence[str]) -> str:
    """Cuts into runs of sentences, the shorter the stronger, and shuffles them."""
    found = sentences(text)
    cuts = [place for place in range(1, len(found)) if rng.random() < strength]
    runs = ["".join(found[a:b]) for a, b in zip([0, *cuts], [*cuts, len(found)], strict=True)]
    rng.shuffle(runs)
    return " ".join(runs) if " " in text else "".join(runs)


def rewrite_sentences(text: str, strength: float, rng: random.Random, others: Sequence[str]) -> str:
    """Puts other sentences in place of some: unlike a gap or a frame, it leaves neither text inside the other."""
    foreign = [sentence for other in others for sentence in sentences(other)]
    return "".join(rng.choice(foreign) if rng.random() < strength * 0.35 else sentence for sentence in sentences(text))


EDITS: dict[str, Edit] = {
    "word edits": edit_words,
    "sentence drops": drop_sentences,
    "boilerplate around": surround,
    "reordering": reorder,
    "sentences replaced": rewrite_sentences,
}


class Planted(NamedTuple):
    """A near copy of one text: its place, and how it was made."""

    text: str
    source: int
    kind: str


def plant(texts: Sequence[str], each: int, seed: int) -> list[Planted]:
    """`each` near copies of every text by every kind of edit, from the faintest to the strongest."""
    rng = random.Random(seed)
    found = []
    for place, text in enumerate(texts):
        others = [texts[rng.randrange(len(texts))] for _ in range(4)]
        others = [other for other in others if other != text] or [texts[place - 1]]
        for kind, edit in EDITS.items():
            for step in range(each):
                strength = ((step + rng.random()) / each) ** 2
                found.append(Planted(edit(text, strength, rng, others), place, kind))
    return found


def replace_run(text: str, start: int, words: int, seed: object) -> str:
    """The text with `words` spaced words from the `start`-th on replaced by new ones; counts and order of the others stay."""
    found = text.split(" ")
    rng = random.Random(f"run {seed}")
    found[start : start + words] = [f"new{rng.randrange(10**9)}" for _ in found[start : start + words]]
    return " ".join(found)


def chain(seed: object, length: int, words: int = 200, step: int = 17) -> list[str]:
    """Versions of a text, each with another run of words replaced and with those of all before. At 200 words and 17 a step, neighbours
    are of similarity 0.8, and those two steps apart of 0.65, with containments of 0.89 and 0.79."""
    found = [prose("Latin", seed, words)]
    for number in range(1, length):
        found.append(replace_run(found[-1], 4 + (number - 1) * (step + 5) % (words - step - 8), step, (seed, number)))
    return found
