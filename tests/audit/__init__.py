"""What the code rests on, looked through for known holes: `python -m tests.audit --help`."""
