"""Proof under fire: real processes, real files, and everything that can go wrong on purpose.

    .venv/bin/python -m tests.fire kills [--letters N] [--kills N] [--seed N] [--json FILE]
    .venv/bin/python -m tests.fire lossy [--replies N] [--graph-down 6h] [--gateway-down 3d] [--seed N] [--json FILE]
    .venv/bin/python -m tests.fire jumps [--jumps N] [--seed N] [--json FILE]
    .venv/bin/python -m tests.fire storm [--notifications N] [--commit SECONDS] [--seed N] [--json FILE]
    .venv/bin/python -m tests.fire canaries [--letters N] [--seed N] [--json FILE]
    .venv/bin/python -m tests.fire backups [--rounds N] [--seed N] [--json FILE]
    .venv/bin/python -m tests.fire slow [--proxy nginx|caddy|none] [--connections N] [--seconds N] [--json FILE]

    kills   letters flow while the gateway is killed with SIGKILL again and again and Microsoft 365 misbehaves; at the
            end each letter has left exactly once, or the gateway says why not
    lossy   replies come in while notifications are lost, doubled, shuffled and too early, subscriptions and delta
            tokens die, and so does the gateway; on a clock moved by hand, so Graph or the gateway can be away for
            days; at the end each reply is stored exactly once, and nothing else
    jumps   the wall clock jumps on by days and back by hours under real processes; each reply is stored, each folder
            watched all the same
    storm   notifications pour in, perhaps on a disk that takes seconds for each commit: each is answered in time, and
            none is acknowledged and lost
    canaries  a word of its own stands in each sensitive field while everything goes wrong at debug level; in the end
            none of them stands in logs, metrics, problem bodies, traces or process arguments, in any form
    backups backups are made, restored and compared, round after round, while letters leave and replies come in; then
            the last takes the place of the gateway's file, and no letter leaves a second time
    slow    a thousand clients send or read a few bytes at a time, behind a proxy or not; an ordinary one hardly notices

What is drawn by lot (when to kill, what goes wrong at Microsoft) comes from the seed, so a run can be repeated as far
as real time allows. The exit code is 1 when anything was lost, doubled, broken or late; what it was is printed.

    rounds          the lots of a run: pure, from its seed
    selma           the client that posts letters, and posts again what was not answered
    kills           the run; ahead_server: the gateway in the future, where what is uncertain today comes to an end
    books           the gateway's file, read beside it
    verdict         what was promised, compared with the file and the sandbox's ledger: pure
    one_clock       gateway and sandbox in one process, on one clock
    mailbag         letters, replies and unrelated mail of such a run, and the comparison of replies with the file
    lossy           the run
    gusts           Graph's side of a storm: requests, their answers and times
    jumps           the run
    backups         the run; backup_books: a restored file, compared
    storm           the run; stalled_server: the gateway on a disk that takes its time
    leaks           forms in which a word could stand somewhere, and the search for them: pure
    cage            the words, one for each sensitive field
    canaries        the run
    slow            the run
    report          the summary and the JSON
"""
