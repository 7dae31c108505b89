"""For each alert a day on which it fires and one on which it does not, as `promtool test rules` takes them.

Values are in its notation: `a+bxn` is a, and b more each minute, n times; `axn` is a all the time.
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

INBOX: Final = 'mailbox="office@school.example", folder="inbox"'
OFFICE: Final = 'mailbox="office@school.example"'
HOOK: Final = 'webhook="whk_1"'

Series = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is scraped from minute 0 on, for `minutes`, on a bad day and on a good one."""

    fires: Series
    rests: Series
    minutes: int


def level(name: str, labels: str, bad: str, good: str, minutes: int) -> Case:
    """A number that is one or the other all the time."""
    of = f"selma_gateway_{name}{{{labels}}}"
    return Case(fires={of: f"{bad}x{minutes}"}, rests={of: f"{good}x{minutes}"}, minutes=minutes)


def grows(name: str, labels: str, bad: str, good: str, minutes: int) -> Case:
    """A number that grows by so much in a minute."""
    of = f"selma_gateway_{name}{{{labels}}}"
    return Case(fires={of: f"0+{bad}x{minutes}"}, rests={of: f"0+{good}x{minutes}"}, minutes=minutes)


def buckets(name: str, labels: str, within: Mapping[str, int], minutes: int) -> dict[str, str]:
    """A histogram that grows by so many, up to each edge, in a minute."""
    comma = ", " if labels else ""
    series = {
        f'selma_gateway_{name}_bucket{{{labels}{comma}le="{edge}"}}': f"0+{count}x{minutes}"
        for edge, count in within.items()
    }
    return {**series, f"selma_gateway_{name}_count{{{labels}}}": f"0+{max(within.values())}x{minutes}"}


def slow(name: str, labels: str, edge: str, minutes: int) -> Case:
    """A histogram in which most are slower than an edge, or hardly any."""
    bad, good = {edge: 10, "86400.0": 100, "+Inf": 100}, {edge: 1000, "86400.0": 1000, "+Inf": 1000}
    return Case(fires=buckets(name, labels, bad, minutes), rests=buckets(name, labels, good, minutes), minutes=minutes)


def both(name: str, bad: Mapping[str, str], good: Mapping[str, str], minutes: int) -> Case:
    """Several series of one name, by their labels."""
    return Case(
        fires={f"selma_gateway_{name}{{{labels}}}": values for labels, values in bad.items()},
        rests={f"selma_gateway_{name}{{{labels}}}": values for labels, values in good.items()},
        minutes=minutes,
    )


DUE, BATCHES = "selma_gateway_oldest_due_letter_seconds{}", "selma_gateway_batches_open{}"
FREE, SIZE = "selma_gateway_filesystem_free_bytes{}", "selma_gateway_filesystem_size_bytes{}"
STARTED = "process_start_time_seconds{}"

CASES: Final[Mapping[str, Case]] = {
    "SelmaGatewayDown": Case(fires={"up{}": "1x4 0x10"}, rests={"up{}": "1x4 0 0 1x10"}, minutes=12),
    "SelmaGatewayRestarting": Case(fires={STARTED: "0+60x30"}, rests={STARTED: "5x10 9x20"}, minutes=30),
    "SelmaEventLoopLate": slow("event_loop_lag_seconds", "", "0.25", 30),
    "SelmaFilesNearlyUsedUp": Case(
        fires={"process_open_fds{}": "900x20", "process_max_fds{}": "1024x20"},
        rests={"process_open_fds{}": "200x20", "process_max_fds{}": "1024x20"},
        minutes=20,
    ),
    "SelmaLettersLate": Case(
        fires={DUE: "0+60x40", BATCHES: "0x40"}, rests={DUE: "0+60x40", BATCHES: "1x40"}, minutes=40
    ),
    "SelmaOutboxPaused": level("outbox_paused", "", "1", "0", 20),
    "SelmaMailboxPaused": level("mailbox_paused", OFFICE, "1", "0", 70),
    "SelmaLettersNeedReview": level("letters", 'status="needs_review"', "1", "0", 70),
    "SelmaLettersFailing": grows("letter_transitions_total", 'state="failed"', "1", "0.05", 60),
    "SelmaLettersBouncing": both(
        "letter_transitions_total",
        {'state="bounced"': "0+1x60", 'state="sent"': "0+5x60"},
        {'state="bounced"': "0+1x60", 'state="sent"': "0+50x60"},
        60,
    ),
    "SelmaSentCopiesLate": slow("letter_step_seconds", 'step="arrive"', "300.0", 60),
    "SelmaRecipientsNearlyUsedUp": level("recipients_left_today", OFFICE, "120", "6000", 20),
    "SelmaGraphThrottled": grows("graph_throttled_total", "", "3", "1", 40),
    "SelmaGraphFailing": both(
        "graph_calls_total",
        {'kind="delta", status="200"': "0+10x40", 'kind="send", status="none"': "0+5x40"},
        {'kind="delta", status="200"': "0+10x40", 'kind="send", status="503"': "0+1x40"},
        40,
    ),
    "SelmaGraphRefusing": both(
        "graph_calls_total",
        {'kind="delta", status="403"': "0+1x60", 'kind="send", status="401"': "0+1x60"},
        {'kind="delta", status="403"': "1x60", 'kind="send", status="202"': "0+9x60"},
        60,
    ),
    "SelmaGraphSlow": slow("graph_call_seconds", 'kind="delta"', "10.0", 60),
    "SelmaNotificationsAnsweredSlowly": Case(
        fires=buckets("notification_answer_seconds", "", {"0.1": 80, "3.0": 90, "+Inf": 100}, 30),
        rests=buckets("notification_answer_seconds", "", {"0.1": 80, "3.0": 99, "+Inf": 100}, 30),
        minutes=30,
    ),
    "SelmaNotificationsRefused": grows("notifications_refused_total", 'reason="forged_client_state"', "3", "0.1", 40),
    "SelmaHintsWaiting": Case(
        fires={f"selma_gateway_oldest_open_hint_seconds{{{INBOX}}}": "0+60x30"},
        rests={f"selma_gateway_oldest_open_hint_seconds{{{INBOX}}}": "0+60x14 0x16"},
        minutes=30,
    ),
    "SelmaFolderNotPulled": level("folder_pull_age_seconds", INBOX, "4000", "590", 20),
    "SelmaSubscriptionEnding": level("subscription_left_seconds", INBOX, "0", "300000", 30),
    "SelmaMailUnannounced": Case(
        fires={f"selma_gateway_mail_unannounced_total{{{OFFICE}}}": "3x10 4x10"},
        rests={f"selma_gateway_mail_unannounced_total{{{OFFICE}}}": "3x20"},
        minutes=20,
    ),
    "SelmaMailMissing": level("mail_missing", OFFICE, "1", "0", 130),
    "SelmaDeliveryGapOpen": level("delivery_gaps_open", OFFICE, "1", "0", 70),
    "SelmaMailboxUnhealthy": level("mailbox_healthy", OFFICE, "0", "1", 40),
    "SelmaWebhookBehind": level("webhook_lag_seconds", HOOK, "1000", "30", 20),
    "SelmaWebhookDisabled": level("webhook_disabled", HOOK, "1", "0", 20),
    "SelmaStoreUnreadable": level("store_readable", "", "0", "1", 10),
    "SelmaStoreWritesFail": grows("store_groups_failed_total", "", "1", "0", 10),
    "SelmaCommitsSlow": slow("store_commit_seconds", "", "0.1", 40),
    "SelmaWritesQueue": level("store_writes_queued", "", "5000", "200", 10),
    "SelmaDiskSpaceLow": Case(
        # Not low yet, but it falls by a tenth of a gigabyte every minute.
        fires={FREE: "90e9-1e8x90", SIZE: "100e9x90"},
        rests={FREE: "50e9x90", SIZE: "100e9x90"},
        minutes=90,
    ),
    "SelmaDiskSpaceNearlyGone": level("filesystem_free_bytes", "", "5e8", "5e10", 20),
    "SelmaDatabaseLogLong": level("database_log_bytes", "", "1e9", "33554432", 30),
    "SelmaLettersRefusedForRoom": level("disk_low", "", "1", "0", 10),
    "SelmaBackupOld": level("backup_age_seconds", "", "130000", "86400", 40),
    "SelmaBackupFailed": level("backup_failed", "", "1", "0", 70),
    "SelmaCredentialEnding": level("credential_days_left", "", "21", "22", 70),
    "SelmaCredentialNearlyOver": level("credential_days_left", "", "3", "4", 10),
}


# What people read, where numbers are put into words: of an alert its labels, what is scraped, and the summary.
WORDS: Final[Mapping[str, tuple[Mapping[str, str], Series, str]]] = {
    "SelmaHintsWaiting": (
        {"mailbox": "office@school.example", "folder": "inbox"},
        {f"selma_gateway_oldest_open_hint_seconds{{{INBOX}}}": "1000x30"},
        "Microsoft told of mail in inbox of office@school.example 16m 40s ago, and it has not been fetched.",
    ),
    "SelmaDiskSpaceNearlyGone": (
        {},
        {FREE: "524288000x30"},
        "Only 500MiB are left on the disk of the gateway's database on SelmaDiskSpaceNearlyGone.",
    ),
}


def rule_tests(file: str, rules: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The file that `promtool test rules` reads: the bad days of all alerts at once, each on a gateway of its own, and
    the good ones.
    """
    bad = {name: case.fires for name, case in CASES.items()}
    good = {name: case.rests for name, case in CASES.items()}
    words = [_words(rule, *WORDS[rule["alert"]]) for rule in rules if rule["alert"] in WORDS]
    return {
        "rule_files": [file],
        "evaluation_interval": "1m",
        "tests": [_days(bad, [{"labels": "{}", "value": 1}]), _days(good, []), *words],
    }


def _days(days: Mapping[str, Series], firing: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [
            {"series": placed(one, name), "values": values}
            for name, series in days.items()
            for one, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing", instance="{name}"}})',
                "eval_time": f"{CASES[name].minutes - 1}m",
                "exp_samples": firing,
            }
            for name in days
        ],
    }


def _words(rule: Mapping[str, Any], labels: Mapping[str, str], series: Series, summary: str) -> dict[str, Any]:
    """An alert as whoever is called reads it."""
    name = rule["alert"]
    expected = {
        "exp_labels": {"severity": rule["labels"]["severity"], "job": "selma-gateway", "instance": name, **labels},
        "exp_annotations": {**rule["annotations"], "summary": summary},
    }
    return {
        "interval": "1m",
        "input_series": [{"series": placed(one, name), "values": values} for one, values in series.items()],
        "alert_rule_test": [{"alertname": name, "eval_time": "20m", "exp_alerts": [expected]}],
    }


def placed(series: str, instance: str) -> str:
    """With the labels that Prometheus itself gives."""
    name, labels = series.removesuffix("}").split("{", 1)
    given = f'job="selma-gateway", instance="{instance}"'
    return f"{name}{{{', '.join(one for one in (labels, given) if one)}}}"
