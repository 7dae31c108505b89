"""Commits of the store, and what their writes had to tell: the steps of letters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.registry import Collector

from gateway.sending.machine import State
from gateway.sending.steps import ENTERED, STEP, WHOLE, Step
from storage.measures import Commit

COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WRITES: Final = (1, 2, 5, 10, 25, 50, 100, 250, 512)  # the last is the store's GROUP_LIMIT
LETTER_SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14_400, 86_400)


class StoreMeter:
    """The store's `Observer`."""

    def __init__(self) -> None:
        self._disk = Histogram(
            "selma_gateway_store_commit_seconds",
            "How long the disk took to keep a group of writes for good. Over 0.1 s, look for a slow or busy disk.",
            buckets=COMMIT_SECONDS,
            registry=None,
        )
        self._group = Histogram(
            "selma_gateway_store_group_seconds",
            "How long a group of writes took in all, the commit included. When it grows and the commit does not, "
            "processor time is short, or a single write is large.",
            buckets=COMMIT_SECONDS,
            registry=None,
        )
        self._writes = Histogram(
            "selma_gateway_store_group_writes",
            "How many writes shared one commit. Many is what a busy hour looks like, and no trouble.",
            buckets=WRITES,
            registry=None,
        )
        self._failed = Counter(
            "selma_gateway_store_groups_failed",
            "Groups of writes of which nothing was kept: the disk is full or broken. The log has why.",
            registry=None,
        )
        self._whole = Histogram(
            "selma_gateway_letter_seconds",
            "From when a letter was accepted, or was to be sent, until its copy was seen in Sent Items.",
            buckets=LETTER_SECONDS,
            registry=None,
        )
        steps = Histogram(
            "selma_gateway_letter_step_seconds",
            "How long letters took for a step. draft: until the draft was in the mailbox. wait: with the draft ready, "
            "until it was submitted: for its attachments, and the mailbox's budget. submit: until Microsoft accepted "
            "it. arrive: from then on until its copy was seen in Sent Items.",
            ["step"],
            buckets=LETTER_SECONDS,
            registry=None,
        )
        entered = Counter(
            "selma_gateway_letter_transitions",
            "How often a letter entered a state. For how many are in it now, see the gauge of letters.",
            ["state"],
            registry=None,
        )
        self._steps, self._entered = steps, entered
        self._measures: Mapping[str, Callable[[float], None]] = {
            WHOLE: self._whole.observe,
            **{STEP + step: steps.labels(step.value).observe for step in Step},
            **{ENTERED + state: entered.labels(state.value).inc for state in State},
        }

    @property
    def collectors(self) -> Sequence[Collector]:
        """For a registry."""
        return (self._disk, self._group, self._writes, self._failed, self._whole, self._steps, self._entered)

    def committed(self, commit: Commit) -> None:
        """A group is on disk."""
        self._disk.observe(commit.disk_s)
        self._group.observe(commit.took_s)
        self._writes.observe(commit.writes)
        for what, value in commit.measures:
            if (measure := self._measures.get(what)) is not None:
                measure(value)

    def failed(self, writes: int) -> None:
        """Nothing of a group was kept."""
        self._failed.inc()
