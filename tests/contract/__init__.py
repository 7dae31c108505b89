"""The contract, tried by machines that nobody here wrote.

    python -m tests.contract schema [--examples N]
    python -m tests.contract json --from DIR
    python -m tests.contract strings --from FILE
    python -m tests.contract bombs

`schema` lets schemathesis loose on every route of `/openapi.json`: what the schema allows, what it does not, and one
operation after another along the links. `json` posts every document of https://github.com/nst/JSONTestSuite, alone and
within a letter. `strings` puts every line of blns.json of https://github.com/minimaxir/big-list-of-naughty-strings into
every field that takes a text. `bombs` throws what is too large, too deep or too many at a process whose answers are
timed and whose memory is watched. The result is 1 when the gateway fell over, or gave an answer that it does not
promise.
"""
