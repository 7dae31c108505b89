"""Backups on a disk that fills up in their midst: run by a test, within a mount namespace that has a small one.

python -m tests.backups.filling FOLDER       where FOLDER/data holds a gateway's folder, on the small disk
"""

import contextlib
import json
import sys
from pathlib import Path

from gateway.backups.checking import verify
from gateway.backups.errors import NotMade
from tests.backups.scene import House
from tests.fakes.clock import FakeClock


def full_at(step: str, house: House, ballast: Path) -> str:
    """What was said when there was no room left at this step."""

    def fill(what: str, done: int, total: int) -> None:
        if what == step and not ballast.exists():
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass

    try:
        house.back_up(watch=fill)
    except NotMade as error:
        return str(error)
    finally:
        ballast.unlink(missing_ok=True)
    return ""


def main() -> None:
    """Fill it at each step; then, with room, make one after all."""
    place = Path(sys.argv[1])
    house = House(folder=place / "data", clock=FakeClock())
    said = {step: full_at(step, house, place / "ballast") for step in ("copying", "packing")}
    left = sorted(house.leftovers()) + [one.path.name for one in house.shelf.backups()]
    print(json.dumps({"said": said, "left": left, "opened": verify(house.back_up().path, house.settings).opened}))


if __name__ == "__main__":
    main()
