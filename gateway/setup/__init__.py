"""Connecting a school: the account and its secret, the check of the connection, mailboxes, a test email, the countdown.

`values` says what is wrong with what was entered, `account` stores it, `check` and `probe` try it, `expiry` watches
the end of the secret; `service` joins them for the API, the pages and the command line.
"""

from gateway.setup.account import AccountConfiguration, BadConfiguration, configuration_problems
from gateway.setup.mailboxes import Validation
from gateway.setup.report import Check, Report, Verdict
from gateway.setup.service import Setup

__all__ = [
    "AccountConfiguration",
    "BadConfiguration",
    "Check",
    "Report",
    "Setup",
    "Validation",
    "Verdict",
    "configuration_problems",
]
