"""What can go wrong here.

StorageError
├── NotFound            no such row, or not this account's
├── AlreadyExists       a row like this is there
├── Conflict            the row is not in a state that allows this
├── StorageUnavailable  the file cannot be written or read now: full disk, I/O error, lock
├── SchemaTooNew        the file comes from a newer release
├── WrongMasterKey      the key at hand does not open what is stored
└── InUse               another gateway has this file open
"""


class StorageError(Exception):
    """The parent of all of these; its text is a sentence for people."""


class NotFound(StorageError):
    """No such row in this account."""


class AlreadyExists(StorageError):
    """A row like this is there."""


class Conflict(StorageError):
    """The row is not in a state that allows this."""


class StorageUnavailable(StorageError):
    """The file cannot be written or read now. Nothing of the failed work is kept."""


class SchemaTooNew(StorageError):
    """The file comes from a newer release of the gateway."""


class WrongMasterKey(StorageError):
    """The master key at hand does not open what is stored."""


class InUse(StorageError):
    """Another gateway process has this file open."""
