"""The product: what joins storage, subscriptions and Microsoft Graph into SELMA's mail gateway.

`main` builds and joins the long-lived objects, `__main__` is the command line; each room below says in its
own `__init__` what belongs there.
"""

from importlib.metadata import version
from typing import Final

__version__: Final = version("selma-gateway")
