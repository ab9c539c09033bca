#!/usr/bin/env bash
# down.sh           stop everything that up.sh started; the cluster's state stays and up.sh brings it back
# down.sh --clean   forget the cluster too (etcd, certificates, containers); programs and images stay
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
enter_network "$@"
case ${1:-} in ''|--clean) ;; *) die "usage: down.sh [--clean]" ;; esac
for name in kuberay-operator kwok kubelet; do stop $name; done
if running containerd; then
    timeout 100 "$BIN/kube" remove-sandboxes --socket "$CONTAINERD_SOCKET" || say "some pod sandboxes are left"
fi
for name in network-policy proxy scheduler controller-manager; do stop $name; done
stop apiserver 30
for name in containerd etcd; do stop $name; done
# what this lab's pods and containers had mounted; the engine's mounts are its own
awk -v lab="$LAB/" 'index($2, lab) == 1 && $2 != lab "docker" && index($2, lab "docker/") != 1 &&
    index($2, lab "run/docker") != 1 {print $2}' /proc/mounts | sort -r |
    while read -r mount; do umount "$mount" 2>/dev/null || umount -l "$mount"; done
for hierarchy in /sys/fs/cgroup/*/kubepods; do
    [ -d "$hierarchy" ] || continue
    find "$hierarchy" -depth -type d -exec rmdir {} + 2>/dev/null || true
done
if [ "${1:-}" = --clean ]; then
    rm -rf "$LAB/etcd" "$LAB/kubelet" "$LAB/containerd" "$LAB/cni" "$PKI" "$LOGS" "$KUBECONFIG"
    find "$RUN" -mindepth 1 -maxdepth 1 ! -name 'docker*' -exec rm -rf {} +    # the engine may be up
fi
ip netns delete "$NETNS"     # and with it bridges, filters and settings
say "down"
