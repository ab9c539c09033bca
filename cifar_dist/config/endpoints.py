"""Which addresses an S3 server may have: encrypted, or on this machine or inside a cluster."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

FORM = "http://host:port or https://host"
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[\w.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:(?P<port>\d{1,5}))?"
    r"(/[\w./~-]{0,200})?",
    re.A,
)
_PORTS = 65_535
_KEYS = "those come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

# Who answers there gives this machine's own credentials to whoever asks.
_METADATA_NAMES = re.compile(r"(metadata|instance-data)(\..+)?|.+\.metadata\.(internal|goog)", re.I)
_METADATA_NETWORKS = [
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",  # Amazon's over IPv6
        "fd20:ce::254/128",  # Google's over IPv6
        "100.100.100.200/32",  # Alibaba's
        "168.63.129.16/32",  # Azure's
        "192.0.0.192/32",  # Oracle's
    )
]
_INSIDE_NETWORKS = [
    ip_network(text)
    for text in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7",
    )
]  # fmt: skip
# What no public name is: one word, Kubernetes' own, and those that stand for this machine.
_INSIDE_NAMES = re.compile(
    r"[^.]+|.+\.svc(\.cluster\.local)?|.+\.localhost|host\.(docker|containers)\.internal", re.I
)
_EMBEDDING = (ip_network("64:ff9b::/96"), ip_network("::/96"))  # IPv4 in the last 32 bits

Address = IPv4Address | IPv6Address


def endpoint_fault(endpoint: str, *, may_be_plain: bool = False) -> str | None:
    """Say what is wrong with an endpoint, without repeating it: it may hold a password.

    `may_be_plain` takes http to everywhere.
    """
    found = _ADDRESS.fullmatch(endpoint)
    if found is None or int(found["port"] or 0) > _PORTS:
        return f"must be {FORM}, without keys; {_KEYS}"
    host = found["host"].strip("[]").removesuffix(".")
    address = _address(host)
    if address is None and _is_number(host):
        return "must write its IP address as four decimal numbers"
    if _is_metadata(address or host):
        return "must not be the address of a cloud's metadata; name the S3 server"
    if found["scheme"] == "http" and not (may_be_plain or _is_inside(address or host)):
        return (
            "must be https, as it is neither this machine nor inside a cluster; there, http takes "
            "NAME.NAMESPACE.svc, a name of one word or a private IP address"
        )
    return None


def _address(host: str) -> Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        embedded = address.ipv4_mapped or address.sixtofour
        if embedded is None and int(address) > 1 and any(address in net for net in _EMBEDDING):
            embedded = IPv4Address(int(address) & 0xFFFF_FFFF)
        return embedded or address
    return address


def _is_number(host: str) -> bool:
    """Tell whether a resolver would take a name for an IP address: 2852039166, 0xa9.254.1."""
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _is_metadata(host: Address | str) -> bool:
    if isinstance(host, str):
        return _METADATA_NAMES.fullmatch(host) is not None
    return any(host in network for network in _METADATA_NETWORKS)


def _is_inside(host: Address | str) -> bool:
    if isinstance(host, str):
        return _INSIDE_NAMES.fullmatch(host) is not None
    return any(host in network for network in _INSIDE_NETWORKS)
