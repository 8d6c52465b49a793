"""The tables of a store."""

from __future__ import annotations

import sqlalchemy as sql

from search.store.status import SCHEMA as SCHEMA
from search.trials.events import Epoch, Probe

metadata = sql.MetaData()

about = sql.Table("about", metadata, sql.Column("schema", sql.Integer, primary_key=True))

trials = sql.Table(
    "trials",
    metadata,
    sql.Column("key", sql.String(16), primary_key=True),
    sql.Column("architecture", sql.String(16), nullable=False, index=True),
    sql.Column("seed", sql.BigInteger, nullable=False),
    sql.Column("spec", sql.JSON, nullable=False),
    # The network's costs are columns, so that a front over many trials does not read their specs.
    sql.Column("depth", sql.Integer, nullable=False),
    sql.Column("params", sql.BigInteger, nullable=False),
    sql.Column("macs", sql.BigInteger, nullable=False),
    sql.Column("activations", sql.BigInteger, nullable=False),
    sql.Column("proposal", sql.JSON(none_as_null=True)),
    sql.Column("aside", sql.Boolean, nullable=False, default=False),
    sql.Column("status", sql.String(16), nullable=False, index=True),
    sql.Column("reason", sql.Text, nullable=False, default=""),
    sql.Column("traceback", sql.Text, nullable=False, default=""),
    sql.Column("attempts", sql.Integer, nullable=False, default=0),
    # The job that the trial is part of, and how many trials train as one network: it resumes the same way.
    sql.Column("job", sql.String(16)),
    sql.Column("together", sql.Integer),
    sql.Column("test_error", sql.Float),
    sql.Column("validation_error", sql.Float),
    sql.Column("latency_ms", sql.Float),
    sql.Column("seconds", sql.Float),
    sql.Column("host", sql.String(255)),
    sql.Column("device", sql.String(32)),
    sql.Column("started", sql.DateTime(timezone=True)),
    sql.Column("finished", sql.DateTime(timezone=True)),
    # The driver that holds the trial, or held it last.
    sql.Column("owner", sql.String(300)),
    sql.Column("top5_error", sql.Float),
    # `Identity.training`, which tells recipes and data apart without the spec. In rows of earlier versions it is NULL:
    # they are of the recipe and the data of their study.
    sql.Column("training", sql.String(16)),
)

ADDED = ("top5_error", "training")
"""Columns of `trials` that stores of this schema did not have at first. A driver adds them; in a store that is only
read, a missing one is empty."""

drivers = sql.Table(
    "drivers",
    metadata,
    sql.Column("name", sql.String(300), primary_key=True),
    # The heartbeat count: increases while the driver is alive.
    sql.Column("beat", sql.BigInteger, nullable=False),
)

epochs = sql.Table(
    "epochs",
    metadata,
    sql.Column("key", sql.ForeignKey("trials.key"), primary_key=True),
    sql.Column("epoch", sql.Integer, primary_key=True),
    *(
        sql.Column(name, sql.Integer if name == "step" else sql.Float, nullable=False)
        for name in Epoch.__dataclass_fields__
        if name not in ("key", "epoch")
    ),
)

probes = sql.Table(
    "probes",
    metadata,
    sql.Column("key", sql.ForeignKey("trials.key"), primary_key=True),
    sql.Column("epoch", sql.Integer, primary_key=True),
    *(
        sql.Column(name, sql.JSON, nullable=False)
        for name in Probe.__dataclass_fields__
        if name not in ("key", "epoch")
    ),
)

# Read only when asked for, in a table of its own: a trial's other columns are much shorter.
predictions = sql.Table(
    "predictions",
    metadata,
    sql.Column("key", sql.ForeignKey("trials.key"), primary_key=True),
    # The bytes of `Predictions.to_bytes`.
    sql.Column("content", sql.LargeBinary, nullable=False),
)

OPTIONAL = (predictions.name,)
"""Tables that a store of an earlier version can lack. A driver creates them; for a reader they are empty."""

RESULTS = (
    "architecture",
    "seed",
    "validation_error",
    "test_error",
    "depth",
    "params",
    "macs",
    "activations",
    "latency_ms",
    "seconds",
)
"""The columns of `Store.results`."""

# Covers `Store.results`, in its order: specs are long, and a front over many trials reads none of them.
sql.Index("results_by_key", *(trials.c[name] for name in ("aside", "status", *RESULTS, "key")))
