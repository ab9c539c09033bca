#!/usr/bin/env bash
# up.sh control-plane   etcd, API server (RBAC, Pod Security), controllers, scheduler, KubeRay, kwok
# up.sh node            the same and one real node: containerd, kubelet, kube-proxy, bridge CNI, CoreDNS;
#                       the operator runs in a pod
# Idempotent. Everything runs in the network namespace $NETNS (enter.sh). Needs root and build.sh's
# programs. KUBERAY=1.7.0 names another operator than 1.6.1; going from one to the other is up.sh again.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
enter_network "$@"
. "$HERE/pki.sh"
LEVEL=${1:-control-plane}
case $LEVEL in control-plane|node) ;; *) die "usage: up.sh control-plane|node" ;; esac
OPERATOR=kuberay-operator-$KUBERAY
for program in kube etcd kwok "$OPERATOR"; do
    [ -x "$BIN/$program" ] || die "$program is not built (build.sh)"
done
for file in "kuberay-$KUBERAY" "kuberay-crds-$KUBERAY" kwok-stages prometheus-crds; do
    [ -s "$SHARE/$file.yaml" ] || die "$file.yaml is not there (build.sh)"
done

bridge() { # NAME [ADDRESS]
    ip link show "$1" >/dev/null 2>&1 || ip link add "$1" type bridge
    if [ -n "${2:-}" ]; then ip addr replace "$2" dev "$1"; fi
    ip link set "$1" up
}

CLIENT=(--bind-address 127.0.0.1 --leader-elect=false --profiling=false
    --kube-api-qps 300 --kube-api-burst 500)

control_plane() {
    local name
    make_pki
    bridge "$NODE_BRIDGE" "$NODE_IP/32"
    mkdir -p "$LAB/etcd"
    chmod 700 "$LAB/etcd"
    start etcd "$BIN/etcd" --name lab --data-dir "$LAB/etcd" --unsafe-no-fsync \
        --listen-client-urls $ETCD_URL --advertise-client-urls $ETCD_URL \
        --listen-peer-urls $ETCD_PEER_URL --initial-advertise-peer-urls $ETCD_PEER_URL \
        --initial-cluster lab=$ETCD_PEER_URL --quota-backend-bytes 4294967296 \
        --auto-compaction-mode revision --auto-compaction-retention 20000
    wait_for 30 etcd curl -fsS $ETCD_URL/readyz
    start apiserver "$BIN/kube" apiserver --etcd-servers $ETCD_URL \
        --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port 6443 \
        --service-cluster-ip-range $SERVICE_CIDR --authorization-mode Node,RBAC \
        --enable-admission-plugins NodeRestriction,PodSecurity --allow-privileged=true --profiling=false \
        --client-ca-file "$PKI/ca.crt" \
        --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
        --kubelet-client-certificate "$PKI/apiserver-kubelet-client.crt" \
        --kubelet-client-key "$PKI/apiserver-kubelet-client.key" \
        --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP \
        --requestheader-client-ca-file "$PKI/front-proxy-ca.crt" \
        --requestheader-allowed-names front-proxy-client \
        --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
        --requestheader-extra-headers-prefix X-Remote-Extra- \
        --proxy-client-cert-file "$PKI/front-proxy-client.crt" \
        --proxy-client-key-file "$PKI/front-proxy-client.key" \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-key-file "$PKI/service-accounts.pub" \
        --service-account-signing-key-file "$PKI/service-accounts.key"
    wait_for 60 "API server" kubectl get --raw /readyz
    start controller-manager "$BIN/kube" controller-manager "${CLIENT[@]}" \
        --kubeconfig "$PKI/controller-manager.kubeconfig" \
        --authentication-kubeconfig "$PKI/controller-manager.kubeconfig" \
        --authorization-kubeconfig "$PKI/controller-manager.kubeconfig" \
        --use-service-account-credentials=true --node-monitor-grace-period 300s \
        --service-account-private-key-file "$PKI/service-accounts.key" --root-ca-file "$PKI/ca.crt" \
        --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key"
    start scheduler "$BIN/kube" scheduler "${CLIENT[@]}" --kubeconfig "$PKI/scheduler.kubeconfig" \
        --authentication-kubeconfig "$PKI/scheduler.kubeconfig" \
        --authorization-kubeconfig "$PKI/scheduler.kubeconfig"
    wait_for 60 "default service account" kubectl get serviceaccount default
    start kwok "$BIN/kwok" --kubeconfig "$KUBECONFIG" --config "$SHARE/kwok-stages.yaml" \
        --manage-all-nodes=false --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake \
        --node-ip 10.216.0.1 --cidr 10.217.0.0/16 --node-lease-duration-seconds 240
    for name in "kuberay-crds-$KUBERAY" prometheus-crds; do
        kubectl apply --server-side --force-conflicts -f "$SHARE/$name.yaml" >/dev/null
    done
    wait_for 30 CRDs kubectl wait --for=condition=Established --timeout=10s crd/rayjobs.ray.io \
        crd/rayclusters.ray.io crd/podmonitors.monitoring.coreos.com
    for name in etcd apiserver controller-manager scheduler kwok; do
        running $name || die "$name ended: see $LOGS/$name.log"
    done
}

operator_manifests() { # KubeRay's own; only namespace, image and CPU differ
    { printf 'apiVersion: v1\nkind: Namespace\nmetadata:\n  name: kuberay-system\n---\n'
      cat "$SHARE/kuberay-$KUBERAY.yaml"; } |
        sed -E -e 's/^( *namespace:) default$/\1 kuberay-system/' -e 's/^( *cpu:) 100m/\1 500m/' \
            -e "s#image: .*/operator:.*#image: localhost/$OPERATOR:lab#"
}
operator_process() {
    if running kubelet; then return; fi
    if [ "$(cat "$RUN/kuberay" 2>/dev/null)" != "$KUBERAY" ]; then stop kuberay-operator; fi
    echo "$KUBERAY" >"$RUN/kuberay"
    start kuberay-operator "$BIN/$OPERATOR" --kubeconfig "$KUBECONFIG" \
        --enable-leader-election=false --metrics-addr 127.0.0.1:28080 --health-probe-bind-address 127.0.0.1:28082 --enable-metrics=true \
        ${KUBERAY_FEATURE_GATES:+--feature-gates "$KUBERAY_FEATURE_GATES"}
}

SECONDS=0
control_plane
say "control plane ready after $SECONDS s"
if [ "$LEVEL" = node ]; then
    . "$HERE/node.sh"
    node_up
    say "node ready after $SECONDS s"
else
    operator_process
fi
echo "inside the lab: $HERE/enter.sh kubectl get nodes"
