"""Designs: which combinations of factor levels are trained, and which effects can be estimated from them.

To add a kind of design, add a class here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ablations import fractional
from ablations.factors import Changes, Factor, baseline_levels, check_disjoint
from resnet_space.catalogues import OneOf
from resnet_space.description import Kind, kinds
from resnet_space.errors import InputError

Levels = Mapping[str, str]
"""One level of every factor."""
Factors = Mapping[str, Factor]

MOST_CELLS = 4096
BASELINE = "baseline"
"""The baseline's name in designs that change it step by step."""
MAX_RELATION = 16
"""If the defining relation has more words, notes show the generators instead and aliases have at most two factors."""
ROMAN = {3: "III", 4: "IV", 5: "V", 6: "VI", 7: "VII", 8: "VIII", 9: "IX", 10: "X", 11: "XI", 12: "XII", 13: "XIII"}


@dataclass(frozen=True)
class Cell:
    """One arm of a design: one level of every factor."""

    name: str
    levels: Levels


@dataclass(frozen=True)
class Estimate:
    """An effect that a design can estimate.

    Without `arm` it is a mean over all cells: a main effect, or an interaction of several factors. With `arm` it is a
    simple effect: the difference arm - versus of two cells. `aliases` are effects that cannot be separated from it.
    """

    name: str
    factors: tuple[str, ...]
    arm: str | None = None
    versus: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Design:
    """Cells with distinct names, one of which is the baseline, and the effects that can be estimated from them."""

    cells: tuple[Cell, ...]
    baseline: str
    estimates: tuple[Estimate, ...]
    notes: tuple[str, ...] = ()


def changes(cell: Cell, factors: Factors) -> Changes:
    """Return the values that a cell's levels set, by path."""
    return {path: value for name, level in cell.levels.items() for path, value in factors[name].choices[level].items()}


class DesignKind(Kind):
    """The base of all kinds of designs: makes the cells from the factors and the baseline's levels."""

    def compile(self, factors: Factors, baseline: Mapping[str, Any]) -> Design:
        """Return the design for these factors. The baseline's level of a factor it does not name is the first one.

        Raises:
            InputError: two factors set the same path, the baseline names an unknown factor or level, or the design
                does not accept these factors; the message says what it accepts.
        """
        if not factors:
            raise InputError("factors: a design needs at least one")
        check_disjoint(factors)
        return self._over(factors, baseline_levels(factors, baseline))

    def _over(self, factors: Factors, start: dict[str, str]) -> Design:
        raise NotImplementedError


class OneAtATime(DesignKind):
    """The baseline, and every other level of every factor, changed one at a time: sum(levels - 1) + 1 cells."""

    kind: Literal["one_at_a_time"] = "one_at_a_time"

    def _over(self, factors: Factors, start: dict[str, str]) -> Design:
        cells, estimates = [Cell(BASELINE, start)], []
        for name, factor in factors.items():
            for level in factor.choices:
                if level != start[name]:
                    cells.append(Cell(f"{name}={level}", {**start, name: level}))
                    estimates.append(_step(name, cells[-1], cells[0]))
        note = "each effect is measured with all other factors at the baseline; interactions are not estimated"
        return Design(_distinct(cells), BASELINE, tuple(estimates), (note,))


class LeaveOneOut(DesignKind):
    """All factors on, and each factor off alone. Factors have two levels, off then on; the baseline is all on."""

    kind: Literal["leave_one_out"] = "leave_one_out"

    def compile(self, factors: Factors, baseline: Mapping[str, Any]) -> Design:
        _two_levels(factors, self.kind)
        on = {name: list(factor.choices)[1] for name, factor in factors.items()}
        for name, level in baseline_levels(factors, baseline).items():
            if name in baseline and level != on[name]:
                raise InputError(f"baseline.{name}: leave_one_out starts from all on, {on[name]!r}, not {level!r}")
        return super().compile(factors, on)

    def _over(self, factors: Factors, start: dict[str, str]) -> Design:
        cells = [Cell(BASELINE, start)]
        for name, factor in factors.items():
            cells.append(Cell(f"without {name}", {**start, name: next(iter(factor.choices))}))
        estimates = [_step(name, cell, cells[0]) for name, cell in zip(factors, cells[1:], strict=True)]
        note = "each effect is measured with all other factors on; interactions are not estimated"
        return Design(_distinct(cells), BASELINE, tuple(estimates), (note,))


class Ladder(DesignKind):
    """The baseline, then each factor's last level added to the previous ones, in the order of the file."""

    kind: Literal["ladder"] = "ladder"

    def _over(self, factors: Factors, start: dict[str, str]) -> Design:
        cells = [Cell(BASELINE, start)]
        for name, factor in factors.items():
            *others, last = factor.choices
            if start[name] == last:
                allowed = ", ".join(others)
                raise InputError(f"baseline.{name}: {last!r} is what the ladder adds; start lower; allowed: {allowed}")
            cells.append(Cell(f"+ {name}", {**cells[-1].levels, name: last}))
        estimates = [
            _step(name, cell, before) for name, cell, before in zip(factors, cells[1:], cells[:-1], strict=True)
        ]
        note = "each effect is measured on top of the previous steps; another order can give other effects"
        return Design(_distinct(cells), BASELINE, tuple(estimates), (note,))


class Factorial(DesignKind):
    """All combinations of levels: main effects and all interactions."""

    kind: Literal["factorial"] = "factorial"

    def _over(self, factors: Factors, start: dict[str, str]) -> Design:
        _at_least(2, factors, "a factorial", "one_at_a_time compares the levels of one")
        count = prod(len(factor.choices) for factor in factors.values())
        if count > MOST_CELLS:
            raise InputError(f"factors: {count} cells; at most {MOST_CELLS} are allowed; see design: fractional")
        cells, baseline = _named(factors, product(*(factor.choices for factor in factors.values())), start)
        effects = (chosen for size in range(1, len(factors) + 1) for chosen in combinations(factors, size))
        return Design(cells, baseline, tuple(Estimate(" x ".join(effect), effect) for effect in effects))


class Fractional(DesignKind):
    """2^(k-p) of the 2^k combinations of two-level factors, by a resolution or by generators such as D=ABC.

    Letters are the factors in the order of the file (without I, which is the identity). Of the 2^p fractions that the
    generators allow, the one that contains the baseline is used; this sets the signs. There is one estimate per class
    of aliases, named after its shortest word; aliases are named without signs.
    """

    kind: Literal["fractional"] = "fractional"
    resolution: Annotated[int, Field(ge=3)] | None = None
    """Minimum resolution; the smallest fraction found with it is used."""
    generators: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.resolution is None) != bool(self.generators):
            raise InputError("fractional needs either a resolution (3 or more) or generators, as in [D=ABC]")
        return self

    def _over(self, factors: Factors, start: dict[str, str]) -> Design:
        _at_least(3, factors, "a fraction", "design: factorial takes two")
        _two_levels(factors, self.kind)
        fraction = self.fraction(len(factors))
        choices = [list(factor.choices) for factor in factors.values()]
        within = [levels.index(level) for levels, level in zip(choices, start.values(), strict=True)]
        rows = ([levels[at] for levels, at in zip(choices, row, strict=True)] for row in fraction.rows(within))
        cells, baseline = _named(factors, rows, start)
        return Design(cells, baseline, tuple(_estimates(fraction, factors)), tuple(_notes(fraction, factors, within)))

    def fraction(self, number: int) -> fractional.Fraction:
        """Return the fraction for this number of factors.

        Raises:
            InputError: there is no fraction of this resolution, or the generators are invalid.
        """
        most = len(fractional.LETTERS)
        if number > most:
            raise InputError(f"factors: a fraction takes at most {most}, not {number}")
        if self.resolution is None:
            return fractional.by_generators(number, self.generators, path="design.generators")
        if self.resolution > number:
            raise InputError(
                f"design.resolution: {self.resolution} is more than a fraction of {number} factors can have; "
                f"allowed: 3 to {number}, or design: factorial"
            )
        found = fractional.by_resolution(number, self.resolution)
        if found is None:
            allowed = next(least for least in range(number, 2, -1) if fractional.by_resolution(number, least))
            raise InputError(
                f"design.resolution: {self.resolution} takes more than {fractional.MAX_RUNS} cells of {number} "
                f"factors; allowed: 3 to {allowed}"
            )
        return found


DESIGNS: dict[str, type[DesignKind]] = kinds(DesignKind, globals())
"""All classes above that have a `kind`, by name."""

AnyDesign = Annotated[DesignKind, OneOf(DESIGNS)]


def _step(factor: str, cell: Cell, versus: Cell) -> Estimate:
    name = f"{factor}: {cell.levels[factor]} - {versus.levels[factor]}"
    return Estimate(name, (factor,), cell.name, versus.name)


def _at_least(number: int, factors: Factors, what: str, instead: str) -> None:
    if len(factors) < number:
        raise InputError(f"factors: {what} needs at least {number} of them, not {len(factors)}; {instead}")


def _two_levels(factors: Factors, kind: str) -> None:
    for name, factor in factors.items():
        if len(factor.choices) != 2:
            raise InputError(f"factors.{name}.levels: {kind} takes factors of two levels, not {len(factor.choices)}")


def _named(factors: Factors, rows: Iterable[Sequence[str]], start: dict[str, str]) -> tuple[tuple[Cell, ...], str]:
    """Return cells named after their levels, and the name of the cell at `start`.

    A level's name is used alone if it is a word that no other factor has, otherwise with its factor: `width=0.5`.
    """
    every = [level for factor in factors.values() for level in factor.choices]

    def label(name: str, level: str) -> str:
        plain = level[:1].isalpha() and level not in ("true", "false", "null") and every.count(level) == 1
        return level if plain else f"{name}={level}"

    def cell(levels: dict[str, str]) -> Cell:
        return Cell(", ".join(label(*each) for each in levels.items()), levels)

    cells = _distinct([cell(dict(zip(factors, row, strict=True))) for row in rows])
    return cells, cell(start).name


def _distinct(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    names = [cell.name for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else None
    if twice is not None:
        raise InputError(f"factors: two cells would be called {twice!r}; name factors and levels without ', ' and '='")
    return tuple(cells)


def _estimates(fraction: fractional.Fraction, factors: Factors) -> Iterator[Estimate]:
    names = list(factors)
    whole = 1 << len(fraction.generators) <= MAX_RELATION
    for first, *others in fraction.classes(len(names) if whole else 2).values():
        chosen, *aliases = ([names[letter] for letter in fractional.letters(word)] for word in (first, *others))
        yield Estimate(" x ".join(chosen), tuple(chosen), aliases=tuple(" x ".join(alias) for alias in aliases))


def _notes(fraction: fractional.Fraction, factors: Factors, within: Sequence[int]) -> Iterator[str]:
    """Yield notes on the fraction in letters, with signs: + is a factor's second level."""

    def signed(word: int, product: int) -> str:
        low = sum(not within[letter] for letter in fractional.letters(product))
        return ("-" if low % 2 else "") + fractional.word_text(word)

    number, made, resolution = fraction.number, len(fraction.generators), fraction.resolution
    whole = 1 << made <= MAX_RELATION
    named = ", ".join(f"{letter} = {name}" for letter, name in zip(fractional.LETTERS, factors, strict=False))
    yield f"{named}; + is the second level"
    generated = ", ".join(
        f"{fractional.LETTERS[factor]} = {signed(word, word | 1 << factor)}" for factor, word in fraction.generated
    )
    yield f"{fraction.runs} of {1 << number} cells, a 2^({number}-{made}) fraction: {generated}"
    relation = " = ".join(signed(word, word) for word in (fraction.relation() if whole else fraction.generators))
    yield f"defining relation: I = {relation}{'' if whole else ', and all products of these'}"
    clear = {
        3: "main effects are clear of each other, but not of two-factor interactions",
        4: "main effects are clear of two-factor interactions, but these are not clear of each other",
    }.get(resolution, f"effects of up to {(resolution - 1) // 2} factors are clear of each other")
    yield f"resolution {ROMAN[resolution]}: {clear}"
    if not whole:
        yield "aliases of more than two factors are left out"
