"""The command line: `selma-gateway`. One module per noun; `common` opens what they need and prints what they found.

Exit codes: 0 done, 1 looked into and found wanting (a check that failed, a mailbox refused), 2 wrong usage,
3 the gateway's own trouble (settings, database, master key). `doctor` ends as monitoring plugins do: 0 well,
1 doubtful, 2 bad.
"""

from gateway.cli.app import main

__all__ = ["main"]
