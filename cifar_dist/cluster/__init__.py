"""The door to Ray: training over workers, sweeps, and the connection to a cluster.

Ray reads its environment when it is first imported, so it is settled here. The token of a local
cluster lives in the environment alone: without one, Ray would write it into HOME.
"""

import os
import secrets
import sys
from importlib import import_module

_DEFAULTS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints on stdout, whatever its verbosity
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",  # else a report or an end waits up to 2 s
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "120",  # seconds that a busy machine may need
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same as on the command line
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a late call after the end would start a second Ray
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "10",  # a worker that hangs says no farewell either
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our ledger holds what they would write
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",  # our sampler bounds them; else they start in turn
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # a trial's row says why it failed
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
if os.environ.get("RAY_ADDRESS"):
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "5")  # seconds until a wrong token is told
else:
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
if "ray" in sys.modules:
    # Imported before its environment was settled: it reads it again.
    import_module("ray._raylet").Config.initialize("")
