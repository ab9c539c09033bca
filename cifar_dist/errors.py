"""Every error raised on purpose, drawn as a tree with its exit code.

CifarDistError            1    a bug of ours
├─ ConfigError            2    a job, a space or an option is wrong
├─ DataError              2    a data source is missing or does not match
├─ DeviceError            2    GPUs were asked for and cannot be used
├─ RunError               3    a run failed after its retries
├─ StoreError             4    storage is unavailable, refuses access or has no such bucket
├─ RefusedError           5    refused for safety: fenced, changed, would overwrite
│  └─ DamagedError        5    bytes do not match their recorded SHA-256
├─ PreemptedError        75    the machine is being taken away; the run can be resumed
└─ InterruptedRunError  130    the user asked to stop; the run can be resumed
"""


class CifarDistError(Exception):
    """A deliberate error; one finished sentence, so that it survives a trip between processes."""

    exit_code = 1


class ConfigError(CifarDistError):
    """A job, a search space or an option is wrong; one line for each problem."""

    exit_code = 2


class DataError(CifarDistError):
    """A data source is missing, unreadable or does not match what was recorded."""

    exit_code = 2


class DeviceError(CifarDistError):
    """GPUs were asked for and cannot be used."""

    exit_code = 2


class RunError(CifarDistError):
    """A run failed after its retries."""

    exit_code = 3


class StoreError(CifarDistError):
    """Storage is unavailable, refuses access or lacks the bucket."""

    exit_code = 4


class RefusedError(CifarDistError):
    """Going on would lose or mix up something; the message names the way out."""

    exit_code = 5


class DamagedError(RefusedError):
    """Stored bytes do not match their recorded size or SHA-256."""


class PreemptedError(CifarDistError):
    """The machine is being taken away; what is committed can be resumed."""

    exit_code = 75


class InterruptedRunError(CifarDistError):
    """The user asked to stop; what is committed can be resumed."""

    exit_code = 130
