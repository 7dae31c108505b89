from tests.pages.conftest import scene, stranger

__all__ = ["scene", "stranger"]
