"""Microsoft Graph v1.0 as far as mail and subscriptions need it.

`service` answers a request, be it from HTTP or from a `$batch`; each noun has a module of handlers; what is OData and
not mail is in `odata` and `filters`; `errors` holds every refusal in Graph's words. Nothing here knows of sockets.
"""
