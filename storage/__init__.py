"""The SQLite file: records, named SQL and functions, one module per noun.

Lowest of the three packages: it knows nothing of HTTP, of Graph, or of what mail means. A function here takes a
`Transaction` first and the time as an argument; `Store.write` and `Store.read` run it. Every question names the
account it is asked for, except those of workers that serve all accounts.

Beside the nouns, the file itself: how it is opened (`opening`, `connections`, `migrate`), what runs work on it
(`store`, `groups`, `glances`, `log`), and what that work is given (`transaction`).
"""

from storage.errors import (
    AlreadyExists,
    Conflict,
    InUse,
    NotFound,
    SchemaTooNew,
    StorageError,
    StorageUnavailable,
    WrongMasterKey,
)
from storage.opening import held_alone, open_store
from storage.store import Store
from storage.transaction import Transaction

__all__ = [
    "AlreadyExists",
    "Conflict",
    "InUse",
    "NotFound",
    "SchemaTooNew",
    "StorageError",
    "StorageUnavailable",
    "Store",
    "Transaction",
    "WrongMasterKey",
    "held_alone",
    "open_store",
]
