"""`python -m gateway` is `selma-gateway`."""

import gc

gc.disable()  # nothing that is imported is garbage, and looking for some takes an eighth of the time until `main`
from gateway.cli import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
