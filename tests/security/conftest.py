from tests.pages.conftest import scene

__all__ = ["scene"]
