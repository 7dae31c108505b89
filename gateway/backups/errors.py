"""What can go wrong with backups; each text is a sentence for people.

BackupError
├── NoRoom          the disk is too full
├── UnderWay        another backup is being made
├── NotMade         anything else that kept one from being made
├── Damaged         the file is not what was written, or no backup
├── Locked          it is encrypted, and no identity at hand opens it
├── OtherMasterKey  its secrets were sealed with a master key that is not at hand
└── InTheWay        there is a database where it would go
"""

from storage import StorageError


class BackupError(StorageError):
    """The parent of all of these."""


class NoRoom(BackupError):
    """The disk is too full."""


class UnderWay(BackupError):
    """Another backup of this database is being made."""


class NotMade(BackupError):
    """The backup could not be made."""


class Damaged(BackupError):
    """The file is not what was written, or no backup at all."""


class Locked(BackupError):
    """It is encrypted, and no identity at hand opens it."""


class OtherMasterKey(BackupError):
    """Its secrets were sealed with a master key that is not at hand."""


class InTheWay(BackupError):
    """There is a database where the backup would go."""


class Interrupted(Exception):
    """Whoever asked for it wants it no more."""
