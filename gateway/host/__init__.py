"""Telling the host application what happened: which events there are, and pushing them to its webhooks.

The event log is the truth, and whoever reads it by its cursor needs nothing of this. `deliver` takes each event to each
webhook, at least once and in the order of its thread; `plan` decides (pure) when to ask again, `post` makes the request
and `targets` sees that it goes nowhere it must not.
"""
