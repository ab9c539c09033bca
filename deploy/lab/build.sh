#!/usr/bin/env bash
# build.sh [all | apt | kube | etcd | tiny | kuberay | coredns | cni | kwok | s3 | prometheus |
#           kubeconform | helm-unittest]...
# Debian packages, then programs from Go modules. What is there is skipped (FORCE=1: built again).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false

have() { [ -z "${FORCE:-}" ] && [ -x "$BIN/$1" ]; }
report() { say "built $1 in $SECONDS s, $(du -h "$BIN/$1" | cut -f1)"; }
local_build() { # DIRECTORY PROGRAM [PACKAGE] [LDFLAGS]
    if have "$2"; then return; fi
    SECONDS=0
    (cd "$HERE/build/$1" && nice go build -trimpath -ldflags "-s -w ${4:-}" -o "$BIN/$2" "${3:-.}")
    report "$2"
}
install() { # PROGRAM PACKAGE@VERSION [LDFLAGS]: go install names the program itself, hence the folder
    if have "$1"; then return; fi
    SECONDS=0
    local scratch; scratch=$(mktemp -d)
    mkdir -p "$(dirname "$BIN/$1")"
    (cd "$scratch" && GOBIN=$scratch nice go install -trimpath -ldflags "-s -w ${3:-}" "$2")
    mv "$scratch"/* "$BIN/$1"
    rmdir "$scratch"
    report "$1"
}
module_folder() { # MODULE@VERSION
    (cd / && go mod download -json "$1") | sed -n 's/.*"Dir": "\(.*\)",/\1/p'
}

build_apt() {
    if type -P containerd runc nft conntrack debootstrap openssl kubectl >/dev/null; then return; fi
    command -v kubectl >/dev/null || die "kubectl is not here: install it"
    install_packages apt containerd runc iptables nftables conntrack ebtables ethtool socat \
        debootstrap openssl
}
build_kube() {
    local v=k8s.io/component-base/version minor
    minor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION")
    local_build kube kube . "-X $v.gitVersion=$KUBERNETES_VERSION -X $v.gitMajor=1 -X $v.gitMinor=$minor"
}
build_etcd() { local_build etcd etcd go.etcd.io/etcd/server/v3; }   # Debian's 3.4 lacks RequestWatchProgress
build_tiny() { local_build tiny tiny; }
build_coredns() { local_build coredns coredns; }
build_cni() {
    local plugins=github.com/containernetworking/plugins/plugins name
    for name in main/bridge main/loopback ipam/host-local meta/portmap; do
        install "cni/$(basename $name)" "$plugins/$name@$CNI_VERSION"
    done
}
build_kuberay() { # several versions side by side; KUBERAY_SOURCE is the ray-operator folder of a checkout
    local name=kuberay-operator-$KUBERAY package=github.com/ray-project/kuberay/ray-operator
    local source=${KUBERAY_SOURCE:-}
    if [ -n "$source" ]; then
        SECONDS=0
        (cd "$source" && nice go build -trimpath -ldflags "-s -w" -o "$BIN/$name" .)
        report "$name"
    elif [ "$KUBERAY" = 1.6.1 ]; then
        local_build kuberay "$name" "$package"
        source=$(cd "$HERE/build/kuberay" && go list -m -f '{{.Dir}}' "$package")
    elif ! have "$name"; then
        die "KubeRay $KUBERAY is built from a checkout: KUBERAY_SOURCE=…/ray-operator"
    else
        return
    fi
    cat "$source"/config/crd/bases/*.yaml >"$SHARE/kuberay-crds-$KUBERAY.yaml"
    kubectl kustomize "$source/config/default" >"$SHARE/kuberay-$KUBERAY.yaml"
}
build_kwok() {
    install kwok "sigs.k8s.io/kwok/cmd/kwok@$KWOK_VERSION" "-X sigs.k8s.io/kwok/pkg/consts.Version=$KWOK_VERSION"
    kubectl kustomize "$(module_folder "sigs.k8s.io/kwok@$KWOK_VERSION")/kustomize/stage/fast" >"$SHARE/kwok-stages.yaml"
}
build_s3() { # the program that the contract tests use too
    if have versitygw; then return; fi
    cp "$("$HERE/../versitygw" --path)" "$BIN/versitygw"
}
build_prometheus() { # of the operator only what the API server must know
    local folder
    folder=$(module_folder "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR_VERSION")
    cat "$folder"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules}.yaml \
        >"$SHARE/prometheus-crds.yaml"
}
build_kubeconform() { install kubeconform "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION"; }
build_helm_unittest() {
    local_build helm-unittest helm-unittest github.com/helm-unittest/helm-unittest/cmd/helm-unittest
}

[ $# -gt 0 ] || set -- all
if [ "$1" = all ]; then
    set -- apt kube etcd tiny kuberay coredns cni kwok s3 prometheus kubeconform helm-unittest
fi
for target; do
    declare -F "build_${target//-/_}" >/dev/null || die "unknown target $target"
    "build_${target//-/_}"
done
