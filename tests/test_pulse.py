"""A process that does not get round to its work says so."""

from gateway.pulse import BEATS, SILENT_S, Pulse


class Watch:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_workers_that_were_not_seen_for_a_minute_are_missed() -> None:
    watch = Watch()
    pulse = Pulse(monotonic=watch)
    assert pulse.is_well  # before they begin, recovery is what is waited for
    pulse.worked()
    watch.at += SILENT_S
    assert pulse.is_well
    watch.at += 1
    assert not pulse.is_well
    assert "61 s ago" in pulse.sentence
    pulse.worked()
    assert pulse.is_well


def test_the_latest_beat_of_a_minute_is_told_of() -> None:
    pulse = Pulse(monotonic=Watch())
    pulse.worked()
    for late_s in (0.001, 0.25, -0.1):
        pulse.came(late_s)
    assert "250 ms late at most" in pulse.sentence
    for _ in range(BEATS):
        pulse.came(0.002)
    assert "its loop was 2 ms late" in pulse.sentence
