"""What ends a command, by consequence; each message says what was seen, why it matters and what to do."""


class LowbackgroundError(Exception):
    """Ends a command with `exit_code`."""

    exit_code = 1


class UsageError(LowbackgroundError):
    """Wrong usage or configuration."""

    exit_code = 2


class CheckFailed(LowbackgroundError):
    """A check failed: what lies there is not what its manifest says, or a promise cannot be kept."""


class Incomplete(LowbackgroundError):
    """The run did not finish; the same command goes on where it ended."""
