"""Fractions of two-level factorials, by the arithmetic of words.

A factor is a letter, an effect is a word: A a main effect, AB an interaction. The product of two words keeps the
letters that stand in one of them only, since every letter times itself is I. A fraction is given by generators such
as D = ABC, each a word that is I on every run (ABCD); so are all products of these, the defining relation. Effects
whose product is in the relation are aliases: no number of runs tells them apart. The resolution is the length of the
relation's shortest word. Box and Hunter 1961, Technometrics 3, 311-351 and 449-458.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, count

from resnet_space.errors import InputError, unknown

LETTERS = "ABCDEFGHJKLMNOPQ"
"""Of factors, in their order; I is the identity."""
MOST_RUNS = 4096
MOST_WORDS = 300_000
"""Words that are looked at in search of a better fraction."""

Word = int
"""A set of letters, one bit each; the product of two is their XOR."""


@dataclass(frozen=True)
class Fraction:
    """2^(k-p) runs of k factors: `generated` maps each of p factors to the word that it is equal to."""

    number: int
    generated: tuple[tuple[int, Word], ...]

    @property
    def runs(self) -> int:
        return 1 << len(self.basic)

    @cached_property
    def basic(self) -> tuple[int, ...]:
        """The factors that run through all combinations."""
        generated = dict(self.generated)
        return tuple(factor for factor in range(self.number) if factor not in generated)

    @cached_property
    def columns(self) -> tuple[Word, ...]:
        """Every factor as a word of the basic ones; words with the same product of columns are aliases."""
        generated = dict(self.generated)
        return tuple(generated.get(factor, 1 << factor) for factor in range(self.number))

    @property
    def generators(self) -> tuple[Word, ...]:
        """Independent words that are I on every run."""
        return tuple(word | 1 << factor for factor, word in self.generated)

    @cached_property
    def resolution(self) -> int:
        """The number of letters in the relation's shortest word; k at the most."""
        lengths = (size for size in count(1) for word in words(self.number, size) if not self.column(word))
        return next(lengths)

    def column(self, word: Word) -> Word:
        """What tells a word from others: the word of basic factors that it is an alias of."""
        product = 0
        for factor in letters(word):
            product ^= self.columns[factor]
        return product

    def relation(self) -> list[Word]:
        """All 2^p - 1 words that are I on every run, the shortest first."""
        return sorted(products(self.generators), key=_short_first)

    def classes(self, most: int) -> dict[Word, list[Word]]:
        """Effects by column, the shortest word first: all words up to `most` letters, and the first of each class.

        Longer words are looked at only until every class, of which there are one less than runs, has one.
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
        """The runs, each a level 0 or 1 a factor, of the one fraction of 2^p that holds the run `within`."""
        for run in range(self.runs):
            level = list(within)
            for place, factor in enumerate(reversed(self.basic)):
                level[factor] = run >> place & 1
            for factor, word in self.generated:
                changed = sum(level[each] != within[each] for each in letters(word))
                level[factor] = within[factor] ^ changed & 1
            yield tuple(level)


def letters(word: Word) -> Iterator[int]:
    return (factor for factor in range(word.bit_length()) if word >> factor & 1)


def spelt(word: Word) -> str:
    """The word in letters; I for the empty one."""
    return "".join(LETTERS[factor] for factor in letters(word)) or "I"


def _word(text: str) -> Word:
    return sum(1 << LETTERS.index(letter) for letter in text)


def words(number: int, size: int) -> Iterator[Word]:
    """All words of `size` letters among the first `number`, in the order of the alphabet."""
    return (sum(1 << factor for factor in chosen) for chosen in combinations(range(number), size))


def products(generators: Sequence[Word]) -> list[Word]:
    """Of any number of them, one at least."""
    found = [0]
    for word in generators:
        found += [other ^ word for other in found]
    return found[1:]


def by_generators(number: int, generators: Sequence[str], *, path: str) -> Fraction:
    """The fraction given by text such as `["D=AB", "E=AC"]`.

    Raises:
        InputError: not of this form, an unknown letter, a letter generated twice or from one that is generated itself,
            main effects that would be aliases, or too many runs.
    """
    known = LETTERS[:number]
    sides = [_sides(text, known, path) for text in generators]
    left = [letter for letter, _ in sides]
    basic = [letter for letter in known if letter not in left]
    for text, (letter, right) in zip(generators, sides, strict=True):
        if left.count(letter) > 1:
            raise InputError(f"{path}: {letter} is generated twice; each factor may be once")
        if others := [each for each in right if each in left]:
            free = ", ".join(basic) or "none are left"
            raise InputError(f"{path}: {text!r} is made of {others[0]}, which is generated; allowed: {free}")
    generated = tuple((LETTERS.index(letter), _word(right)) for letter, right in sides)
    fraction = Fraction(number, generated)
    for word in words(number, 2):
        if not fraction.column(word):
            one, other = (LETTERS[factor] for factor in letters(word))
            raise InputError(
                f"{path}: would make {one} = {other}, two main effects that nothing tells apart; "
                "give every generated factor a word of its own, of two letters or more"
            )
    if fraction.runs > MOST_RUNS:
        raise InputError(f"{path}: leave {fraction.runs} cells; at most {MOST_RUNS} are allowed; give more generators")
    return fraction


def _sides(text: str, known: str, path: str) -> tuple[str, str]:
    form = re.fullmatch(r"\s*(\w)\s*=\s*(\w+)\s*", text)
    if form is None:
        raise InputError(f"{path}: {text!r} must be a letter and the word that it is equal to, as in 'D=ABC'")
    letter, right = form.groups()
    for each in (letter, *right):
        if each not in known:
            raise unknown("letter", each, known, path=f"{path}: {text}")
    if len(set(right)) != len(right):
        raise InputError(f"{path}: {text!r} has a letter twice; twice is not at all")
    return letter, right


@lru_cache(maxsize=64)
def by_resolution(number: int, resolution: int) -> Fraction | None:
    """The smallest fraction of at least this resolution; None if none has at most `MOST_RUNS` runs.

    Of those with as few runs it has the highest resolution, then the fewest of the relation's shortest words, then of
    the next (minimum aberration, Fries and Hunter 1980, Technometrics 22, 601-608), as far as a search over
    `MOST_WORDS` words finds them: of up to eleven factors the search is complete enough to find the best.
    """
    for basic in range(2, number):
        if number < 1 << basic <= MOST_RUNS:
            for least in range(number, resolution - 1, -1):
                found = _search(basic, number - basic, least)
                if found is not None:
                    return Fraction(number, tuple(enumerate(found, basic)))
    return None


def _search(basic: int, extra: int, resolution: int) -> tuple[Word, ...] | None:
    """Words for `extra` factors, in order of length and alphabet, by depth first."""
    candidates = [word for size in range(resolution - 1, basic + 1) for word in words(basic, size)]
    best: tuple[tuple[int, ...], tuple[Word, ...]] | None = None
    budget = MOST_WORDS

    def deeper(chosen: tuple[int, ...], relation: list[int], pattern: tuple[int, ...]) -> None:
        """`relation` holds the products of those chosen, the empty one too; a generated letter is a bit of its own."""
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
