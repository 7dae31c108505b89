"""Benchmarks: one command, each figure beside its yardstick, measured in the same run on the same machine.

    .venv/bin/python -m tests.bench [NAME …] [--quick] [--json FILE] [--plots FOLDER] [--compare FILE] [--record]

Absolute figures say as much about the machine and its mood as about the code; what can be carried elsewhere are the
ratios to the yardstick that ran right beside. So two runs are compared by those (`--compare`; `--record` keeps one for
later), and most of the goals are such ratios: the run ends with a table of them. `--help` has all options.

    notifications   Graph's door: checked, on disk (`synchronous=FULL`), answered; against an app that only parses
    slow_disk       the same when each commit takes 5 ms more; against one transaction for each request
    steady          the same at a steady pace, whatever is answered; and beyond what it can do
    opening         rich notifications: what they bring decrypted; against `openssl speed`
    accepting       letters: checked, on disk, answered; against the same routes that commit nothing
    sending         letters: how fast a queue leaves; against the same calls that nothing remembers
    latency         letters: accepted → recognised in Sent, accepted → the reply can be read
    replies         replies: notification sent → can be read; a burst of them, against a bare loop that reads the same
    backfill        a mailbox in which 100,000 mails have gathered; against a bare loop, and a bulk load of its rows
    reading         threads, pages and search at 10,000 and at 1,000,000 messages; at one against the other
    growth          more notifications in a request, more mailboxes
    auditing        the audit log: what a request costs with it; against the same without
    fanout          events pushed to webhooks; against a loop that posts the same and keeps nothing
    starting        from the start of the process until the gateway is ready; against bare imports
    scraping        `/metrics` of a large school, and the writes beside it; a command of its own, see there

To add one: a module with a `measure`, its tables (`show`), the few figures that it is judged by (`in_short`) and a
`BENCHMARK` that says so; its name in `registry`; what it is to reach in `goals`.

    benchmark       what a benchmark is to the command; registry: all of them; progress: which is on
    figures         what a run is judged by; goals: and is to reach; comparison: and was before
    report          the JSON; tables: what tables have in common; charts: what is drawn; plots: and how
    load            the load generator, a closed loop; open_load: an open one; loads: what came of it, over all rounds
    open_door       a door that is served and put under load; queues: one round of sending
    host            what SELMA does; uncommitted, senders, bare_reading, bulk: the yardsticks
    taking_over     letters to answer; corpus: schools of any size, for reading
    …_server        what is measured. Each is a process of its own: processes starts them, serving is what they have
                    in common
    machine         what it ran on; numbers: medians, spreads and percentiles
"""
