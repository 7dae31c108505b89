"""The whole product over real loopback sockets: gateway, sandbox, and a client that posts letters."""
