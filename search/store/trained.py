"""How stored trials were trained: which of a run's recipes and data they have, and what these are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sql

from resnet_space.fields import Lookup
from search.store.claims import KEYS_PER_STATEMENT
from search.store.tables import trials
from search.trials.identity import Identities, Identity


def identities_of_rows(
    connection: sql.Connection, rows: Sequence[Any], own: Identities, *, stored: bool
) -> list[Identity | None]:
    """Return which of a run's identities trials have, from rows of (architecture, seed, ..., key); None: a foreign one.

    Args:
        stored: whether the store has the column `training`.
    """
    found = [own.named(str(row[-1]), row[0], row[1]) for row in rows]
    if not (own.found and stored and None in found):
        return found
    # Only now: this column is in no index, so that its rows are read, which have long descriptions.
    query = sql.select(trials.c.key, trials.c.training).where(trials.c.training.is_not(None))
    by_key = dict(connection.execute(query).cursor.fetchall())
    return [each or own.of(row[-1], row[0], row[1], by_key.get(row[-1])) for each, row in zip(found, rows, strict=True)]


def described(connection: sql.Connection, among: Collection[str] | None) -> dict[str, dict[str, Any]]:
    """Return the description of one trial of each `Identity.training`, or of each of these."""
    one_each = sql.select(sql.func.min(trials.c.key)).where(trials.c.training.is_not(None)).group_by(trials.c.training)
    wanted = [one_each]
    if among is not None:
        keys = sorted(among)
        batches = (keys[begun : begun + KEYS_PER_STATEMENT] for begun in range(0, len(keys), KEYS_PER_STATEMENT))
        wanted = [one_each.where(trials.c.training.in_(some)) for some in batches]
    query = sql.select(trials.c.training, trials.c.spec)
    return {
        str(training): dict(spec)
        for some in wanted
        for training, spec in connection.execute(query.where(trials.c.key.in_(some)))
    }


def lookup_of(connection: sql.Connection, key: str, *, stored: bool) -> Lookup:
    """Return the lookup of the fields of a stored network, its recipe and its data, by `Point.setup`.

    Args:
        stored: whether the store has the column `training`.
    """
    from search.trials.joint_space import lookup_of_setup
    from search.trials.setup import Setup
    from search.trials.trial import TrialSpec

    network, _, training = key.partition(" ")
    query = sql.select(trials.c.spec).where(trials.c.architecture == network).limit(1)
    if training and stored:
        # A trial that an earlier version stored has no training: it is of the recipe and the data of its study.
        own = trials.c.training
        query = query.where((own == training) | own.is_(None)).order_by(own.is_(None))
    return lookup_of_setup(Setup.of(TrialSpec.of(connection.execute(query).scalar_one())))
