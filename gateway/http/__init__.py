"""The HTTP surface: the API for SELMA, the doors for Microsoft Graph, the pages for people.

A route knows nothing of SQL or of Graph: it checks what came, calls a function of another room, and says what it
answered. `app` joins the parts, `routing` says what an operation is, `problems` is the one shape of every error.
"""
