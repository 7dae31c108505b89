"""Backups: made while the gateway serves, looked after by the gateway itself, and put back with care.

A backup is one file: the database as it was at one moment, compressed with zstandard, and encrypted with age where
recipients are set. At its head, in a frame that zstandard skips, lies its manifest; beside it the manifest once more,
with the checksum of the whole file. So it opens without us: `age -d -i KEY FILE | zstd -d > gateway.db`.

    manifest    what a backup says of itself, and its names
    packing     database ↔ file: compressing, encrypting, checksums; streams: what it listens with
    making      a new backup: whole, or not at all
    scratch     copies that are there for a while, beside the database
    shelf       the folder: what is there, what is kept how long
    checking    whether a backup is what it says, up to opening its secrets
    restoring   putting one back: the old database aside, every open letter in doubt
    keeper      makes what is due, forgets what is old, rehearses
    upgrading   the backup before a new release changes the tables
    errors      what can go wrong
"""
