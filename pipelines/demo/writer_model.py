"""A small language model, trained on the spot: word n-grams with back-off. It writes the demo's machine text."""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

ORDER = 4
"""Words that a prediction rests on at most, the predicted one included."""
FEWEST_CHOICES = 2
"""A context is used only where it was followed by this many different words; else the model would recite."""

START, END = "<s>", "</s>"
_TOKEN = re.compile(r"\w+(?:[-'’.]\w+)*|[.,;:()?!]")
_NO_SPACE_BEFORE = frozenset(".,;:!?)")

Context = tuple[str, ...]


class WriterModel:
    """Counts of what followed each context of up to `ORDER` - 1 words, by context."""

    def __init__(self, sentences: Iterable[str]):
        self._next: dict[Context, Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            tokens = [START] * (ORDER - 1) + _TOKEN.findall(sentence) + [END]
            for place in range(ORDER - 1, len(tokens)):
                for length in range(ORDER):
                    self._next[tuple(tokens[place - length : place])][tokens[place]] += 1
        if not self._next:
            raise ValueError("the model was given no sentence to learn from; the pages of the site hold no prose")

    def sentence(self, chance: random.Random, most: int = 45) -> str:
        """One sentence of at most `most` tokens."""
        tokens = [START] * (ORDER - 1)
        while len(tokens) < most + ORDER - 1:
            following = self._following(tokens)
            word = chance.choices(list(following), list(following.values()))[0]
            if word == END:
                break
            tokens.append(word)
        return _joined(tokens[ORDER - 1 :])

    def paragraphs(self, chance: random.Random, words: int) -> list[str]:
        """Paragraphs of four to six sentences, `words` words or some more together."""
        made: list[str] = []
        while sum(len(paragraph.split()) for paragraph in made) < words:
            made.append(" ".join(self.sentence(chance) for _ in range(chance.randint(4, 6))))
        return made

    def _following(self, tokens: list[str]) -> Counter[str]:
        """What followed the longest context that had choices enough; the last resort is the frequency of words."""
        for length in range(ORDER - 1, 0, -1):
            found = self._next.get(tuple(tokens[-length:]))
            if found and len(found) >= FEWEST_CHOICES:
                return found
        return self._next[()]


def _joined(tokens: list[str]) -> str:
    text = ""
    for token in tokens:
        glued = not text or token in _NO_SPACE_BEFORE or text[-1] == "("
        text += token if glued else f" {token}"
    return text if text.endswith((".", "!", "?")) else f"{text}."
