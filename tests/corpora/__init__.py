"""Mail that nobody here wrote, read by the gateway: the figures that the README states.

    python -m tests.corpora bounces [--from DIR]
    python -m tests.corpora odd [--from DIR]
    python -m tests.corpora xss [--from DIR]

`bounces` wants a clone of https://github.com/sisimai/set-of-emails (BSD-2-Clause): every report of a mail system that
is in it, every automatic reply, and what is neither. `odd` reads any folder of mail with odd encodings, names and
structure, by default Python's own test data; https://github.com/jstedfast/MimeKit has more, in UnitTests/TestData.
`xss` plays payloads that others have collected to break mail readers on the real page; without `--from` it clones them.

A corpus is a module with `NAME`, `add_arguments(parser)` and `run(given) -> int`; `__main__` lists them. The result is
1 when a promise is broken.
"""
