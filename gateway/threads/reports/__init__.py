"""Reading what mail systems report of letters: not delivered, late, delivered, read. Pure, and total over any bytes.

Reports come in the form of RFC 3464 (`fields`), or as prose that each mail system words its own way (`notices`).
"""

from gateway.threads.reports.model import Action, Delivery, Nature, Report
from gateway.threads.reports.reading import LARGEST, may_be_report, read_report, read_shown

__all__ = ["LARGEST", "Action", "Delivery", "Nature", "Report", "may_be_report", "read_report", "read_shown"]
