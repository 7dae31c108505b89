"""Claims: who has which letter in hand, and which is the next to be taken.

A claim is a lease in the letter's row: whoever dies with it loses it in time. What may follow is `outbox`'s.
"""

from datetime import datetime

from storage.outbox import Letter, some
from storage.transaction import Transaction, moment_or_none

# Lane by lane, longest due first, and of each mailbox no more than it may have in hand; a mailbox that has spent its
# budget of letters may still look for those that left. Between mailboxes: first whoever has least in hand.
IN_LANE = """
SELECT * FROM (SELECT message_id, lane, next_attempt_at FROM outbox
                WHERE mailbox_id = box.id AND lane = {lane} AND next_attempt_at <= :now
                  AND (lease_ends_at IS NULL OR lease_ends_at <= :now) AND {may_leave}
                ORDER BY next_attempt_at, message_id LIMIT :per_mailbox)
"""
LOOKING = IN_LANE.format(lane=0, may_leave="1")
MAY_LEAVE = "coalesce(box.next_letter_at, 0) <= :now"
SINGLE = IN_LANE.format(lane=1, may_leave=MAY_LEAVE)
BULK = IN_LANE.format(lane=2, may_leave=MAY_LEAVE)
CLAIM_DUE = f"""
UPDATE outbox SET lease_owner = :owner, lease_ends_at = :lease_ends_at, attempts = attempts + 1
 WHERE message_id IN (
       SELECT message_id FROM (
              SELECT due.message_id, due.lane, due.next_attempt_at,
                     row_number() OVER (PARTITION BY due.mailbox_id
                                            ORDER BY due.lane, due.next_attempt_at, due.message_id) AS place,
                     (SELECT count(*) FROM outbox AS held
                       WHERE held.mailbox_id = box.id AND held.lease_owner IS NOT NULL
                         AND held.lease_ends_at > :now) AS in_hand
                FROM mailboxes AS box
                JOIN accounts ON accounts.id = box.account_id
                JOIN outbox AS due ON due.message_id IN (
                     SELECT message_id FROM ({LOOKING} UNION ALL {SINGLE} UNION ALL {BULK}
                      ORDER BY lane, next_attempt_at, message_id LIMIT :per_mailbox))
               WHERE coalesce(box.paused_until, 0) <= :now
                 AND coalesce(accounts.outbox_paused_until, 0) <= :now)
        WHERE place + in_hand <= :per_mailbox
        ORDER BY place + in_hand, lane, next_attempt_at, message_id LIMIT :limit)
RETURNING message_id
"""
LEASED = "SELECT message_id FROM outbox WHERE lease_owner IS NOT NULL"
FIRST_IN_LANE = """
SELECT max(next_attempt_at, {not_before}) AS at
  FROM (SELECT next_attempt_at FROM outbox
         WHERE mailbox_id = box.id AND lane = {lane} AND next_attempt_at IS NOT NULL AND lease_owner IS NULL
         ORDER BY next_attempt_at LIMIT 1)
"""
FIRST_IN_LANES = " UNION ALL ".join(
    FIRST_IN_LANE.format(lane=lane, not_before="0" if lane == 0 else "coalesce(box.next_letter_at, 0)")
    for lane in (0, 1, 2)
)
NEXT_DUE = f"""
SELECT min(at) AS at FROM (
       SELECT max(coalesce(box.paused_until, 0), coalesce(accounts.outbox_paused_until, 0),
                  (SELECT min(at) FROM ({FIRST_IN_LANES}))) AS at
         FROM mailboxes AS box JOIN accounts ON accounts.id = box.account_id
        UNION ALL
       SELECT max(next_attempt_at, lease_ends_at) FROM outbox WHERE lease_owner IS NOT NULL)
"""


def claim_due(
    tx: Transaction, *, owner: str, now: datetime, lease_ends_at: datetime, limit: int, per_mailbox: int = 4
) -> list[Letter]:
    """Take what is due, longest due first; each is ours until the lease ends. The attempt counts from here.

    Never more than `per_mailbox` of one mailbox are in hand at once, whoever holds them; none of a paused one. Single
    letters go before those of a batch, and every mailbox has its turn.
    """
    claim = {
        "owner": owner,
        "now": now,
        "lease_ends_at": lease_ends_at,
        "limit": limit,
        "per_mailbox": per_mailbox,
    }
    ids = [row["message_id"] for row in tx.execute(CLAIM_DUE, claim).fetchall()]
    return some(tx, ids)


def leased(tx: Transaction) -> list[Letter]:
    """At start, when the file's lock proves that nobody else lives: the letters a dead process had in hand."""
    ids = [row["message_id"] for row in tx.execute(LEASED)]
    return some(tx, ids)


def next_due(tx: Transaction) -> datetime | None:
    """When the next letter wants attention: it is due, nothing holds it back, its lease if any is at an end."""
    return moment_or_none(tx.execute(NEXT_DUE).fetchone()["at"])
