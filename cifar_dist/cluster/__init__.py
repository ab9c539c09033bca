"""The door to Ray: training over workers, sweeps, and the connection to a cluster.

Ray reads its environment when it is first imported, so it is settled here. The token of a local
cluster lives in the environment alone: without one, Ray would write it into HOME.
"""

import os
import secrets

_DEFAULTS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints on stdout, whatever its verbosity
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",  # else a report or an end waits up to 2 s
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same as on the command line
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our ledger holds what they would write
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
if "RAY_ADDRESS" not in os.environ:
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
