"""Fractional two-level factorial designs, computed with words.

A factor is a letter, and an effect is a word: A is a main effect, AB an interaction. The product of two words has the
letters that are in exactly one of them, since every letter times itself is I. A fraction is defined by generators such
as D = ABC: the word ABCD is I on every run. The defining relation is the set of all products of such words. Two effects
whose product is in the relation are aliases: they cannot be distinguished, with any number of runs. The resolution is
the length of the shortest word of the relation. Box and Hunter 1961, Technometrics 3, 311-351 and 449-458.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, count

from resnet_space.errors import InputError, unknown

LETTERS = "ABCDEFGHJKLMNOPQ"
"""The letters of the factors, in order; I is the identity."""
MAX_RUNS = 4096
MAX_SEARCHED_WORDS = 300_000
"""The maximum number of words that the search for the best fraction examines."""

Word = int
"""A set of letters, one bit each; the product of two is their XOR."""


@dataclass(frozen=True)
class Fraction:
    """A fraction with 2^(k-p) runs of k factors: `generated` has each of p factors with the word that it equals.

    For example, `Fraction(4, ((3, 0b111),))` is the half fraction of four factors with D = ABC.
    """

    number: int
    generated: tuple[tuple[int, Word], ...]

    @property
    def runs(self) -> int:
        return 1 << len(self.basic)

    @cached_property
    def basic(self) -> tuple[int, ...]:
        """The factors that take all combinations of levels."""
        generated = dict(self.generated)
        return tuple(factor for factor in range(self.number) if factor not in generated)

    @cached_property
    def columns(self) -> tuple[Word, ...]:
        """Every factor as a word of basic factors; words whose products of columns are equal are aliases."""
        generated = dict(self.generated)
        return tuple(generated.get(factor, 1 << factor) for factor in range(self.number))

    @property
    def generators(self) -> tuple[Word, ...]:
        """Independent words that are I on every run; their products are the defining relation."""
        return tuple(word | 1 << factor for factor, word in self.generated)

    @cached_property
    def resolution(self) -> int:
        """The number of letters in the shortest word of the relation."""
        lengths = (size for size in count(1) for word in words(self.number, size) if not self.column(word))
        return next(lengths)

    def column(self, word: Word) -> Word:
        """Return the word of basic factors that a word is an alias of; words with equal columns are aliases."""
        product = 0
        for factor in letters(word):
            product ^= self.columns[factor]
        return product

    def relation(self) -> list[Word]:
        """Return all 2^p - 1 words that are I on every run, the shortest first."""
        return sorted(products(self.generators), key=_short_first)

    def classes(self, most: int) -> dict[Word, list[Word]]:
        """Return the effects by column, the shortest word first: all words up to `most` letters.

        Longer words are added only to classes without a word, until all runs - 1 classes have one.
        """
        found: dict[Word, list[Word]] = {}
        for size in range(1, self.number + 1):
            if size > most and len(found) == self.runs - 1:
                break
            for word in words(self.number, size):
                column = self.column(word)
                if column and (size <= most or column not in found):
                    found.setdefault(column, []).append(word)
        return found

    def rows(self, within: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield the runs, with a level 0 or 1 per factor, of the one of the 2^p fractions that has the run `within`."""
        for run in range(self.runs):
            level = list(within)
            for place, factor in enumerate(reversed(self.basic)):
                level[factor] = run >> place & 1
            for factor, word in self.generated:
                changed = sum(level[each] != within[each] for each in letters(word))
                level[factor] = within[factor] ^ changed & 1
            yield tuple(level)


def letters(word: Word) -> Iterator[int]:
    """Yield the factors of a word, by number."""
    return (factor for factor in range(word.bit_length()) if word >> factor & 1)


def word_text(word: Word) -> str:
    """Return the letters of a word; I for the empty word."""
    return "".join(LETTERS[factor] for factor in letters(word)) or "I"


def _word(text: str) -> Word:
    return sum(1 << LETTERS.index(letter) for letter in text)


def words(number: int, size: int) -> Iterator[Word]:
    """Yield all words of `size` letters among the first `number`, in alphabetical order."""
    return (sum(1 << factor for factor in chosen) for chosen in combinations(range(number), size))


def products(generators: Sequence[Word]) -> list[Word]:
    """Return all products of one or more generators."""
    found = [0]
    for word in generators:
        found += [other ^ word for other in found]
    return found[1:]


def by_generators(number: int, generators: Sequence[str], *, path: str) -> Fraction:
    """Return the fraction of generators such as `["D=AB", "E=AC"]`.

    Raises:
        InputError: not of this form, an unknown letter, a letter generated twice or from a generated letter, main
            effects that would be aliases, or too many runs.
    """
    known = LETTERS[:number]
    sides = [_sides(text, known, path) for text in generators]
    left = [letter for letter, _ in sides]
    basic = [letter for letter in known if letter not in left]
    for text, (letter, right) in zip(generators, sides, strict=True):
        if left.count(letter) > 1:
            raise InputError(f"{path}: {letter} is generated twice; generate each factor once")
        if others := [each for each in right if each in left]:
            free = ", ".join(basic) or "none"
            raise InputError(f"{path}: {text!r} is made of {others[0]}, which is generated; allowed: {free}")
    generated = tuple((LETTERS.index(letter), _word(right)) for letter, right in sides)
    fraction = Fraction(number, generated)
    for word in words(number, 2):
        if not fraction.column(word):
            one, other = (LETTERS[factor] for factor in letters(word))
            raise InputError(
                f"{path}: would make {one} = {other}, main effects that cannot be distinguished; "
                "give each generated factor a different word of two or more letters"
            )
    if fraction.runs > MAX_RUNS:
        raise InputError(f"{path}: {fraction.runs} cells remain; at most {MAX_RUNS} are allowed; give more generators")
    return fraction


def _sides(text: str, known: str, path: str) -> tuple[str, str]:
    form = re.fullmatch(r"\s*(\w)\s*=\s*(\w+)\s*", text)
    if form is None:
        raise InputError(f"{path}: {text!r} must be a letter and the word that it equals, as in 'D=ABC'")
    letter, right = form.groups()
    for each in (letter, *right):
        if each not in known:
            raise unknown("letter", each, known, path=f"{path}: {text}")
    if len(set(right)) != len(right):
        raise InputError(f"{path}: {text!r} has a letter twice; give each letter once")
    return letter, right


@lru_cache(maxsize=64)
def by_resolution(number: int, resolution: int) -> Fraction | None:
    """Return the smallest fraction with at least this resolution; None if all have more than `MAX_RUNS` runs.

    Among fractions of this size it has the highest resolution, then the fewest shortest words in the relation, then the
    fewest next shortest ones (minimum aberration, Fries and Hunter 1980, Technometrics 22, 601-608). The search
    examines at most `MAX_SEARCHED_WORDS` words; for up to eleven factors this is enough to find the best fraction.
    """
    for basic in range(2, number):
        if number < 1 << basic <= MAX_RUNS:
            for least in range(number, resolution - 1, -1):
                found = _search(basic, number - basic, least)
                if found is not None:
                    return Fraction(number, tuple(enumerate(found, basic)))
    return None


def _search(basic: int, extra: int, resolution: int) -> tuple[Word, ...] | None:
    """Find words for `extra` generated factors by depth-first search, in order of length and alphabet."""
    candidates = [word for size in range(resolution - 1, basic + 1) for word in words(basic, size)]
    best: tuple[tuple[int, ...], tuple[Word, ...]] | None = None
    budget = MAX_SEARCHED_WORDS

    def deeper(chosen: tuple[int, ...], relation: list[int], pattern: tuple[int, ...]) -> None:
        """Extend `chosen`. `relation` has all products of the chosen words, each with its generated letters, and I."""
        nonlocal best, budget
        if best is not None and pattern >= best[0]:
            return
        if len(chosen) == extra:
            best = pattern, tuple(candidates[place] for place in chosen)
            return
        letter = 1 << basic + len(chosen)
        for place in range(chosen[-1] + 1 if chosen else 0, len(candidates) - (extra - len(chosen)) + 1):
            budget -= len(relation)
            if budget < 0:
                return
            word = candidates[place] | letter
            more = [other ^ word for other in relation]
            lengths = [each.bit_count() for each in more]
            if min(lengths) >= resolution:
                longer = list(pattern)
                for length in lengths:
                    longer[length] += 1
                deeper((*chosen, place), relation + more, tuple(longer))

    deeper((), [0], (0,) * (basic + extra + 1))
    return best[1] if best else None


def _short_first(word: Word) -> tuple[int, tuple[int, ...]]:
    return word.bit_count(), tuple(letters(word))
