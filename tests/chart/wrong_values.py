"""Values that nobody should install: each `--set` line, and what helm has to name as it refuses."""

from typing import NamedTuple

DIGEST = "sha256:" + "0" * 64


class Wrong(NamedTuple):
    """A set of `--set` lines, the words that the refusal needs, and the render it is tried in."""

    settings: tuple[str, ...]
    named: tuple[str, ...]
    mode: str = "platform"
    values: str = "default"


def _one(setting: str, *words: str, mode: str = "platform", values: str = "default") -> Wrong:
    key = setting.partition("=")[0]
    return Wrong((setting,), words or (key.rpartition(".")[2],), mode, values)


def _many(*settings: str, named: tuple[str, ...], mode: str = "platform") -> Wrong:
    return Wrong(settings, named, mode)


GENERAL = (
    _one("mode=jobs", "mode"),
    _one("imagee.tag=1", "imagee"),
    _one("image.tags=1", "tags"),
    _one("head.resource.limits.cpu=1", "resource"),
    _one("workerGroups.cpu.maxReplica=1", "maxReplica"),
    _one("image.digest=sha256:abc", "digest"),
    _one("image.digest=" + DIGEST.replace("sha256", "md5"), "digest"),
    _one("image.pullPolicy=Sometimes", "pullPolicy"),
    _one("image.tag=latest", "image"),
    _one("image.repository=", "image.repository"),
    _one("fullnameOverride=Cifar_Dist", "fullnameOverride"),
    _one("fullnameOverride=" + "a" * 64, "fullnameOverride"),
    _one("logging.format=xml", "format"),
    _one("metrics.port=70000", "port"),
    _one("metrics.port=0", "port"),
    _one("metrics.port=8265", "metrics.port"),
    _one("prices.gpuHour=-1", "gpuHour"),
    _one("extraObjects=text", "extraObjects"),
)
RAY = (
    _one("ray.version=", "version"),
    _one("ray.version=null", "version"),
    _one("ray.version=2.9", "version"),
    _one("ray.auth.mode=none", "mode"),
    _one("ray.auth.token=abc", "token"),
    _one("ray.drainSeconds=-1", "drainSeconds"),
    _one("ray.drainSeconds=100000", "drainSeconds"),
    _one("gcsFaultTolerance.backend=etcd", "backend"),
    _many(
        "gcsFaultTolerance.enabled=true",
        named=("gcsFaultTolerance.redis.address",),
        mode="cluster",
    ),
    _many(
        "gcsFaultTolerance.enabled=true",
        "gcsFaultTolerance.redis.address=redis:6379",
        "gcsFaultTolerance.storage.size=1Gi",
        named=("gcsFaultTolerance", "storage"),
        mode="cluster",
    ),
    _many(
        "gcsFaultTolerance.enabled=true",
        "gcsFaultTolerance.backend=rocksdb",
        "gcsFaultTolerance.storage.size=1Gi",
        named=("alpha.embeddedStorage",),
        mode="cluster",
    ),
)
GROUPS = (
    _many(
        "workerGroups.cpu.minReplicas=5",
        "workerGroups.cpu.maxReplicas=2",
        named=("workerGroups.cpu", "minReplicas"),
    ),
    _many(
        "workerGroups.cpu.minReplicas=1",
        "workerGroups.cpu.maxReplicas=2",
        "workerGroups.cpu.replicas=9",
        named=("workerGroups.cpu", "replicas"),
    ),
    _one("workerGroups.cpu.minReplicas=-1", "minReplicas"),
    _one("workerGroups.cpu.resources.limits.memory=8 Gi", "memory"),
    _one("workerGroups.cpu.shm=lots", "shm"),
    _one("workerGroups.cpu.terminationGracePeriodSeconds=30", "terminationGracePeriodSeconds"),
    _many(
        "workerGroups.gpu.enabled=true",
        "workerGroups.gpu.resources.requests.nvidia\\.com/gpu=1",
        "workerGroups.gpu.resources.limits.nvidia\\.com/gpu=2",
        named=("workerGroups.gpu", "nvidia.com/gpu"),
    ),
    _many(
        "workerGroups.cpu.resources.requests.cpu=8",
        "workerGroups.cpu.resources.limits.cpu=2",
        named=("workerGroups.cpu", "cpu"),
    ),
    _many("workerGroups.Big.enabled=true", named=("Big",)),
    _many("workerGroups.cpu.enabled=false", named=("workerGroups",), mode="job"),
    _many(
        "workerGroups.cpu.extraEnv[0].name=A",
        "workerGroups.cpu.extraEnv[1].name=A",
        named=("extraEnv",),
        mode="cluster",
    ),
    _many(
        "workerGroups.cpu.extraEnv[0].name=RAY_AUTH_MODE",
        "workerGroups.cpu.extraEnv[0].value=none",
        named=("extraEnv", "RAY_AUTH_MODE"),
        mode="cluster",
    ),
    _many(
        "workerGroups.cpu.extraEnv[0].name=THREADS",
        "workerGroups.cpu.extraEnv[0].value=1",
        named=("workerGroups.cpu.extraEnv", "THREADS"),
        mode="job",
    ),
    _many("head.numCpus=1.5x", named=("numCpus",)),
)
JOBS = (
    _one("job.entrypoint=", "job.entrypoint", mode="job"),
    _one("job.name=", "job.name", mode="job"),
    _one("job.name=" + "a" * 48, "name", mode="job"),
    _one("job.name=1-run", "name", mode="job"),
    _one("job.kind=tunes", "kind", mode="job"),
    _one("job.submissionMode=HttpMode", "submissionMode", mode="job"),
    _one("job.submissionMode=SidecarMode", "submissionMode", mode="job"),
    _one("job.submissionMode=K8sJobMode", "submissionMode", mode="job"),
    _one("job.ttlSeconds=-1", "ttlSeconds", mode="job"),
    _one("job.backoffLimit=-1", "backoffLimit", mode="job"),
    _one("job.activeDeadlineSeconds=0", "activeDeadlineSeconds", mode="job"),
    _one("job.preRunningDeadlineSeconds=0", "preRunningDeadlineSeconds", mode="job"),
    _one("job.env.AWS_SECRET_ACCESS_KEY=a", "job.env: AWS_SECRET_ACCESS_KEY", mode="job"),
    _one("job.env.AWS_SESSION_TOKEN=a", "job.env: AWS_SESSION_TOKEN", mode="job"),
    _one("job.env.AWS_SECRET_ACCESS_KEY=a", "job.env: AWS_", mode="job", values="aws-irsa"),
    _one("job.env.RAY_AUTH_MODE=none", "job.env: RAY_AUTH_MODE", mode="job"),
    _many(
        "head.extraEnv[0].name=RAY_AUTH_TOKEN",
        "head.extraEnv[0].value=a",
        named=("head.extraEnv", "RAY_AUTH_TOKEN"),
        mode="job",
    ),
    _one("store.uri=", "store.uri", mode="job"),
)
STORES = (
    _one("store.accessKey=AKIA0000000000000000", "accessKey"),
    _one("store.uri=gs://bucket/prefix", "uri"),
    _one("store.uri=s3://", "uri"),
    _one("store.endpoint=minio:9000", "endpoint"),
    _one("store.endpoint=http://s3.example.org", "store.endpoint"),
    _one("store.checksums=never", "checksums"),
    _one("store.irsaRoleArn=role", "irsaRoleArn"),
    _many(
        "store.irsaRoleArn=arn:aws:iam::123456789012:role/cifar",
        "store.existingSecret=keys",
        named=("store.irsaRoleArn", "store.existingSecret"),
    ),
    _many("store.dev.enabled=true", "store.existingSecret=", named=("store.existingSecret",)),
    _many("store.bootstrap.enabled=true", "store.uri=", named=("store.uri",)),
    _one("store.dev.size=ten", "size"),
    _one("data.uri=/home/me/data", "uri"),
)
PLATFORM = (
    _many(
        "queue.type=kueue", "queue.name=team", "workerGroups.cpu.minReplicas=0",
        "workerGroups.cpu.maxReplicas=3", "autoscaling.enabled=true", named=("autoscaling",),
    ),
    _one("queue.type=kueue", "queue.name"),
    _one("queue.type=slurm", "type"),
    _one("autoscaling.upscalingMode=Fast", "upscalingMode"),
    _one("alpha.cron=yes", "cron"),
    _one("alpha.mtls=true", "mtls"),
    _many("alpha.cron.enabled=true", named=("job.entrypoint",)),
    _one("alpha.cron.schedule=TZ=UTC 0 2 * * *", "schedule"),
    _one("networkPolicy.enabled=maybe", "enabled"),
    _one("monitoring.podMonitor.enabled=perhaps", "enabled"),
    _one("monitoring.podMonitor.interval=15", "interval"),
    _one("security.containerSecurityContext.privileged=true", "privileged"),
    _one("security.containerSecurityContext.allowPrivilegeEscalation=true", "allowPrivilege"),
    _many(
        "exposure.ingress.enabled=true", "networkPolicy.dashboardNamespace=gateways",
        named=("exposure.ingress.host",), mode="cluster",
    ),
    _many(
        "exposure.ingress.enabled=true", "exposure.ingress.host=ray.example.org",
        named=("networkPolicy.dashboardNamespace",), mode="cluster",
    ),
    _many(
        "alpha.cron.enabled=true", "job.entrypoint=cifar-dist tune quick-start",
        "autoscaling.enabled=false", "queue.type=kueue", "queue.name=team",
        named=("alpha.cron.enabled", "queue.type"),
    ),
    _many(
        "exposure.ingress.enabled=true", "exposure.ingress.host=ray.example.org",
        "ray.auth.mode=disabled", named=("exposure.ingress", "ray.auth.mode"), mode="cluster",
    ),
    _many(
        "exposure.httpRoute.enabled=true", "exposure.httpRoute.parentRefs[0].name=web",
        "ray.auth.mode=disabled", named=("exposure.httpRoute", "ray.auth.mode"), mode="cluster",
    ),
)  # fmt: skip
WRONG = (*GENERAL, *RAY, *GROUPS, *JOBS, *STORES, *PLATFORM)
