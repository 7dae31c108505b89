"""What new messages say comes into the search index at the end of a commit, all of it at once.

FTS5 leaves a piece of the index behind for each statement that brings something in, and a search looks into each
piece. The triggers of `migrations/…_search_in_one_piece.sql` therefore note down what is to come in, and this lets it
in: `storage/groups.py` does so before each commit, so that nobody ever reads a file in which something is missing.
"""

import sqlite3

ANY = "SELECT 1 FROM entering LIMIT 1"
# In the order of their numbers: of a smaller one after a larger one FTS5 begins another piece.
ENTER = """
INSERT INTO search (rowid, scope, subject, sender, recipients, files, text)
SELECT id, scope, subject, sender, recipients, files, text
  FROM search_content WHERE id IN (SELECT id FROM entering) ORDER BY id
"""
DONE = "DELETE FROM entering"


def enter(tx: sqlite3.Connection) -> None:
    """Let everything in that this transaction has brought."""
    if tx.execute(ANY).fetchone() is not None:
        tx.execute(ENTER)
        tx.execute(DONE)
