"""The declaration of a table: `from runtime.table import Table`."""

from runtime.table.declaration import (
    Collect,
    Deliver,
    Fold,
    Input,
    Lookup,
    Merge,
    Periods,
    Records,
    Rejects,
    Rows,
    Table,
    Upsert,
    Write,
    in_order,
)

__all__ = [
    "Collect",
    "Deliver",
    "Fold",
    "Input",
    "Lookup",
    "Merge",
    "Periods",
    "Records",
    "Rejects",
    "Rows",
    "Table",
    "Upsert",
    "Write",
    "in_order",
]
