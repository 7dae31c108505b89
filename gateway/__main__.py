"""`python -m gateway` is `selma-gateway`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
