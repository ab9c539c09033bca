# One real node: containerd, kubelet, kube-proxy, bridge CNI, CoreDNS, the operator as a pod. Sourced by up.sh.
CNI_CONF=$LAB/cni/net.d

node_config() {
    mkdir -p "$CNI_CONF" "$LAB/kubelet" "$LAB/containerd" "$LAB/cni/ipam"
    put "$RUN/containerd.toml" <<TOML
version = 2
root = "$LAB/containerd"
state = "$RUN/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
address = "$CONTAINERD_SOCKET"
[plugins."io.containerd.internal.v1.opt"]
path = "$LAB/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/tiny:lab"
disable_apparmor = true
restrict_oom_score_adj = true          # without CAP_SYS_RESOURCE runc may not lower it: "can't get final child's PID from pipe: EOF"
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$BIN/cni"
conf_dir = "$CNI_CONF"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
TOML
    put "$CNI_CONF/10-lab.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "$POD_BRIDGE", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$LAB/cni/ipam", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
    put "$RUN/resolv.conf" <<<"options ndots:5"     # not the host's
    put "$RUN/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
healthzBindAddress: 127.0.0.1
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$PKI/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
clusterDNS: ["$DNS_IP"]
clusterDomain: cluster.local
resolvConf: $RUN/resolv.conf
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
podLogsDir: $LOGS/pods
volumePluginDir: $LAB/kubelet/volumeplugins
serializeImagePulls: true
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 200Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}
nodeStatusUpdateFrequency: 10s
shutdownGracePeriod: 0s
YAML
    put "$RUN/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE_NAME
clientConnection: {kubeconfig: "$PKI/proxy.kubeconfig"}
bindAddress: $NODE_IP
healthzBindAddress: 127.0.0.1:20256
metricsBindAddress: 127.0.0.1:20249
nodePortAddresses: ["$NODE_IP/32"]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
}

kernel_settings() { # of the network namespace alone
    ip route replace "$SERVICE_CIDR" dev "$NODE_BRIDGE"     # any route will do: kube-proxy sends it on
    sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
}

node_up() {
    local name
    local programs=(tiny coredns versitygw "$OPERATOR")
    for name in "${programs[@]}"; do
        if [ ! "$IMAGES/$name.tar" -nt "$BIN/$name" ]; then "$HERE/image.sh" program "$name"; fi
    done
    node_config
    kernel_settings
    start containerd containerd --config "$RUN/containerd.toml" --log-level warn
    wait_for 30 containerd ctr_ version
    for name in "${programs[@]}"; do "$HERE/image.sh" load "$IMAGES/$name.tar"; done
    start kubelet "$BIN/kube" kubelet --config "$RUN/kubelet.yaml" --kubeconfig "$PKI/kubelet.kubeconfig" \
        --hostname-override "$NODE_NAME" --node-ip "$NODE_IP" --root-dir "$LAB/kubelet" \
        --cert-dir "$LAB/kubelet/pki"
    start proxy "$BIN/kube" proxy --config "$RUN/proxy.yaml"
    start network-policy "$BIN/kube" network-policy --kubeconfig "$KUBECONFIG"
    wait_for 60 "node registration" kubectl get node "$NODE_NAME"
    kubectl wait --for=condition=Ready --timeout=90s "node/$NODE_NAME" >/dev/null
    sed "s#@DNS_IP@#$DNS_IP#" "$HERE/manifests/coredns.yaml" | kubectl apply --server-side -f - >/dev/null
    stop kuberay-operator
    operator_manifests | kubectl apply --server-side --force-conflicts -f - >/dev/null
    kubectl -n kube-system rollout status deploy/coredns --timeout=90s >/dev/null
    kubectl -n kuberay-system rollout status deploy/kuberay-operator --timeout=90s >/dev/null
    for name in containerd kubelet proxy network-policy; do
        running $name || die "$name ended: see $LOGS/$name.log"
    done
}
