"""A state machine that lives in a school: what those of pulled mail begin and end with."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine, initialize

from tests.threads.conftest import School, open_school


class SchoolMachine(RuleBasedStateMachine):
    """Opens a school with a real store; in the end all must be well once more, and everything is cleared away."""

    school: School

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        database = Path(self.folder.name) / "gateway.db"
        self.school = self.runner.run(self.stack.enter_async_context(open_school(database)))
        self.begin()

    def teardown(self) -> None:
        if not hasattr(self, "school"):
            return
        try:
            self.settle()
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def begin(self) -> None:
        """What a run begins with."""
        raise NotImplementedError

    def settle(self) -> None:
        """Calm down, and look whether the promise was kept."""
        raise NotImplementedError
