"""Whether the store does all that runs ask of it; probes lie below doctor/ and are removed."""

from datetime import UTC, datetime, timedelta

from cifar_dist.doctor.check import Checks, Finding, Setup, failed, ok, warning
from cifar_dist.doctor.machine import room
from cifar_dist.errors import StoreError

_SKEW_WARNED = timedelta(minutes=1)
_SKEW_REFUSED = timedelta(minutes=15)  # S3 signs for so long
_SOON = timedelta(hours=1)
_A_FOLDER = "a folder needs none"

CHECKS = Checks(StoreError)


@CHECKS.add()
def store_address(setup: Setup) -> Finding:
    """Open the store and say which settings were taken from where."""
    return ok(setup.checkup.address)


@CHECKS.add(needs="store_address")
def store_disk(setup: Setup) -> Finding:
    """Look for room where runs are kept, if that is a folder."""
    folder = setup.checkup.folder
    return ok("a bucket has its own") if folder is None else room(folder, "--store")


@CHECKS.add(needs="store_address")
def store_credentials(setup: Setup) -> Finding:
    """Find the credentials, and when they end."""
    if setup.checkup.folder is not None:
        return ok(_A_FOLDER)
    found = setup.checkup.credentials()
    name = f"key {found.key} from {found.source}"
    if found.is_renewed or not found.is_temporary:
        return ok(f"{name}, {'renewed by themselves' if found.is_renewed else 'without an end'}")
    remedy = "longer runs need credentials that renew themselves, or a longer session"
    if found.expires is None:
        return warning(f"{name} with a session token, whose end nobody names", remedy)
    left = found.expires - datetime.now(UTC)
    said = f"{name} end in {_minutes(left)}"
    return ok(said) if left > _SOON else warning(said, remedy)


@CHECKS.add(needs="store_credentials")
def store_clock(setup: Setup) -> Finding:
    """Compare this machine's clock with the date of the server's answer."""
    if setup.checkup.folder is not None:
        return ok(_A_FOLDER)
    before = datetime.now(UTC)
    said = setup.checkup.server_time()
    after = datetime.now(UTC)
    # The header counts in seconds.
    off = max(before - said - timedelta(seconds=1), said - after, timedelta(0))
    way = "ahead of" if before > said else "behind"
    found = f"this machine's clock is {_minutes(off)} {way} the server's"
    remedy = "set the clock right, by NTP for instance"
    if off > _SKEW_REFUSED:
        return failed(found, f"{remedy}, else requests are refused", StoreError)
    return warning(found, remedy) if off > _SKEW_WARNED else ok("as the server's")


@CHECKS.add(needs="store_clock", seconds=20)
def store_list(setup: Setup) -> Finding:
    """List what lies below doctor/."""
    count = setup.checkup.count_probes()
    return ok("it can be listed" + (f"; {count} older probes are below doctor/" if count else ""))


@CHECKS.add(needs="store_list", seconds=20)
def store_put(setup: Setup) -> Finding:
    """Create an object."""
    setup.checkup.put()
    return ok("an object was created")


@CHECKS.add(needs="store_put", seconds=20)
def store_get(setup: Setup) -> Finding:
    """Read and list what was just created."""
    if setup.checkup.get():
        return ok("it is read and listed as it was written")
    return failed(
        "what was just written is not what is read or listed", "use another server", StoreError
    )


@CHECKS.add(needs="store_put", seconds=20)
def store_overwriting(setup: Setup) -> Finding:
    """Write another object under the same key, which must be refused."""
    if setup.checkup.is_promised:
        return warning(
            "not tried: CIFAR_DIST_STORE_SINGLE_WRITER=1 promises that one process writes",
            "unset it, unless the server has no conditional writes",
        )
    if setup.checkup.refuses_overwriting():
        return ok("a second write of the same key is refused")
    return failed(
        "a second write of the same key overwrites it, so writers could destroy each other's work",
        "use a server with conditional writes (If-None-Match)",
        StoreError,
    )


@CHECKS.add(needs="store_put", seconds=60)
def store_multipart(setup: Setup) -> Finding:
    """Upload a file in two parts."""
    if setup.checkup.folder is not None:
        return ok(_A_FOLDER)
    return ok(f"{setup.checkup.upload_in_parts():,} bytes in two parts")


@CHECKS.add(needs="store_put", seconds=20)
def store_checksums(setup: Setup) -> Finding:
    """Send an upload with a wrong SHA-256, which must be refused."""
    if setup.checkup.folder is not None:
        return ok(_A_FOLDER)
    mode = f"AWS_REQUEST_CHECKSUM_CALCULATION={setup.checkup.checksum_mode}"
    if setup.checkup.refuses_damage():
        return ok(f"an upload damaged on its way is refused ({mode})")
    return warning(
        f"an upload damaged on its way is taken ({mode}) and only noticed when it is read",
        "prefer a server that compares SHA-256",
    )


@CHECKS.add(needs="store_put", seconds=20)
def store_delete(setup: Setup) -> Finding:
    """Remove all that was created."""
    if setup.checkup.delete():
        return ok("all probes are removed")
    return failed("what was deleted is still listed", "look below doctor/", StoreError)


def _minutes(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
