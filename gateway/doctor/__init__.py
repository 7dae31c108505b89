"""The machine's doctor: looks at what the gateway stands on, and says what is wrong and how to mend it.

`examining` runs the checks of its table one after the other; each is a function of a `Patient`. It works with a
database that is missing, locked or damaged, and changes nothing.
"""
