# shellcheck disable=SC2034
# What the lab runs. The environment may name other versions where a go.mod does not fix them.
KUBERNETES_VERSION=v1.34.4       # build/kube/go.mod; the last line that starts on cgroup v1 as it is
ETCD_VERSION=v3.6.16             # build/etcd/go.mod
COREDNS_VERSION=v1.14.7          # build/coredns/go.mod
HELM_UNITTEST_VERSION=v1.1.2     # build/helm-unittest/go.mod
KUBERAY=${KUBERAY:-1.6.1}        # build/kuberay/go.mod; any other is built from KUBERAY_SOURCE
KWOK_VERSION=${KWOK_VERSION:-v0.8.0}
CNI_VERSION=${CNI_VERSION:-v1.9.1}
KUBECONFORM_VERSION=${KUBECONFORM_VERSION:-v0.8.0}
PROMETHEUS_OPERATOR_VERSION=${PROMETHEUS_OPERATOR_VERSION:-v0.93.1}
RAY_VERSION=2.60.0               # requirements.lock
