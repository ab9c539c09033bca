"""Pod Security's level "restricted", as its admission judges a pod.

Source: kubernetes.io/docs/concepts/security/pod-security-standards, with the rules of 1.35.
"""

from collections.abc import Callable, Iterator
from typing import Any

Object = dict[str, Any]
CAPABILITY = "NET_BIND_SERVICE"
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
    "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}  # fmt: skip
SECCOMP = {"RuntimeDefault", "Localhost"}
APPARMOR = {"", "RuntimeDefault", "Localhost"}


def violations(pod: Object) -> list[str]:
    """Say all that admission would refuse a pod for; empty if it is let in."""
    spec = pod["spec"]
    found = [reason for rule in _OF_PODS for reason in rule(spec)]
    for container in _containers(spec):
        name = container["name"]
        own = container.get("securityContext") or {}
        found += [f"{name}: {reason}" for rule in _OF_CONTAINERS for reason in rule(container, own)]
        found += [f"{name}: {reason}" for reason in _inherited(spec, own)]
    return found


def _containers(spec: Object) -> Iterator[Object]:
    for name in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(name) or []


def _host(spec: Object) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name


def _volumes(spec: Object) -> Iterator[str]:
    for volume in spec.get("volumes") or []:
        wrong = set(volume) - {"name"} - VOLUMES
        if wrong:
            yield f"volume {volume['name']}: {min(wrong)}"


def _sysctls(spec: Object) -> Iterator[str]:
    for sysctl in (spec.get("securityContext") or {}).get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']}"


def _pod_context(spec: Object) -> Iterator[str]:
    context = spec.get("securityContext") or {}
    yield from _both_levels(context)
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot: false"


def _both_levels(context: Object) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield "runAsUser: 0"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "windowsOptions.hostProcess"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield "seLinuxOptions"
    if (context.get("appArmorProfile") or {}).get("type", "") not in APPARMOR:
        yield "appArmorProfile"
    profile = (context.get("seccompProfile") or {}).get("type")
    if profile is not None and profile not in SECCOMP:
        yield f"seccompProfile: {profile}"


def _container_context(container: Object, own: Object) -> Iterator[str]:
    del container
    yield from _both_levels(own)
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"


def _capabilities(container: Object, own: Object) -> Iterator[str]:
    del container
    capabilities = own.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities.drop lacks ALL"
    added = set(capabilities.get("add") or []) - {CAPABILITY}
    if added:
        yield f"capabilities.add {min(added)}"


def _ports_and_probes(container: Object, own: Object) -> Iterator[str]:
    del own
    for port in container.get("ports") or []:
        if port.get("hostPort"):
            yield f"hostPort {port['hostPort']}"
    hooks = [container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    hooks += (container.get("lifecycle") or {}).values()
    for hook in filter(None, hooks):
        if any((hook.get(name) or {}).get("host") for name in ("httpGet", "tcpSocket")):
            yield "a probe or hook names a host"


def _inherited(spec: Object, own: Object) -> Iterator[str]:
    context = spec.get("securityContext") or {}
    if own.get("runAsNonRoot", context.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    profile = own.get("seccompProfile") or context.get("seccompProfile") or {}
    if profile.get("type") not in SECCOMP:
        yield "seccompProfile is not set"


_OF_PODS: tuple[Callable[[Object], Iterator[str]], ...] = (
    _host,
    _volumes,
    _sysctls,
    _pod_context,
)
_OF_CONTAINERS: tuple[Callable[[Object, Object], Iterator[str]], ...] = (
    _container_context,
    _capabilities,
    _ports_and_probes,
)
