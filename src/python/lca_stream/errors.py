"""What may go wrong; `status` is the exit status that every program of the project has for it."""


class Error(Exception):
    """Something of ours failed, or a check says no."""

    status = 1


class UsageError(Error):
    """What was asked for makes no sense, or two sides do not fit together."""

    status = 2


class PeerError(Error):
    """The other side has gone and did not come back."""

    status = 3


class UpstreamError(Error):
    """The stage before failed."""

    status = 4


class CorruptError(Error):
    """The stream is damaged or was cut off."""

    status = 5


class DifferError(Error):
    """The same frame came twice with different bytes."""

    status = 6


class AbortedError(Error):
    """Told to stop before there was anything to finish."""

    status = 130
