"""The release on a real API server: installed, upgraded, taken back and removed without a trace."""

from tests.kubernetes.cluster import NAMESPACE, attempt, helm, install, kubectl, told, until

_KINDS = (
    "pods,services,deployments,configmaps,secrets,serviceaccounts,roles,rolebindings,"
    "networkpolicies,jobs,daemonsets,rayclusters,rayjobs,persistentvolumeclaims,"
    "poddisruptionbudgets,podmonitors,prometheusrules"
)


def _things() -> set[str]:
    return set(kubectl("-n", NAMESPACE, "get", _KINDS, "-o", "name").split())


def test_a_platform_comes_up_in_a_restricted_namespace_and_leaves_nothing(namespace: str) -> None:
    before, other = _things(), "other"
    install(release=other)
    try:
        assert f"{other}-cifar-dist-store" in kubectl("-n", namespace, "get", "deployments")
        install("--set", "autoscaling.idleTimeoutSeconds=90", release=other)
        helm("rollback", other, "1", "--namespace", namespace, "--wait")
        assert "Rollback to 1" in helm("history", other, "--namespace", namespace)
    finally:
        helm("uninstall", other, "--namespace", namespace, "--wait")
    assert until("only what was there", lambda: _things() <= before)


def test_a_release_that_is_installed_twice_changes_nothing(platform: str) -> None:
    def versions() -> dict[str, str]:
        listed = told("-n", NAMESPACE, "get", "configmaps,roles,networkpolicies,serviceaccounts")
        return {
            item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in listed["items"]
        }

    before = versions()
    install()
    assert versions() == before


def test_the_release_passes_its_own_tests(platform: str) -> None:
    ended = attempt("helm", "test", platform, "--namespace", NAMESPACE, "--timeout", "5m")
    assert ended.returncode == 0, ended.stdout + ended.stderr
