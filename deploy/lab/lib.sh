# shellcheck disable=SC2034
# Shared by all scripts of the lab: places, addresses, how a process is started and stopped.
set -euo pipefail
umask 022
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/versions.sh"

LAB=${K8S_LAB_DIR:-$HOME/.cache/k8s-lab}
BIN=$LAB/bin RUN=$LAB/run LOGS=$LAB/logs PKI=$LAB/pki IMAGES=$LAB/images SHARE=$LAB/share
export KUBECONFIG=$LAB/kubeconfig
NETNS=${K8S_LAB_NETNS:-k8slab}             # the addresses below exist in it alone; it has no way out
NODE_IP=10.213.0.1                         # API server and kubelet, on a bridge of their own
NODE_BRIDGE=k8slab0 POD_BRIDGE=k8slab1
NODE_NAME=lab
POD_CIDR=10.214.0.0/16 SERVICE_CIDR=10.215.0.0/16
SERVICE_FIRST_IP=10.215.0.1 DNS_IP=10.215.0.10
ETCD_URL=http://127.0.0.1:22379 ETCD_PEER_URL=http://127.0.0.1:22380
CONTAINERD_SOCKET=$RUN/containerd.sock
mkdir -p "$BIN" "$RUN" "$LOGS" "$PKI" "$IMAGES" "$SHARE"

say() { printf '%s %s\n' "$(date +%T)" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

enter_network() { # ARGUMENTS OF THE SCRIPT: runs the rest of it in the lab's network namespace
    [ "$(id -u)" = 0 ] || die "needs root (network namespace, bridges, cgroups)"
    if [ "$(ip netns identify $$)" = "$NETNS" ]; then return; fi
    if [ ! -e "/run/netns/$NETNS" ]; then
        ip netns add "$NETNS"
        ip -n "$NETNS" link set lo up
    fi
    # nsenter, not ip netns exec: kubelet and containerd must share their mounts
    exec nsenter --net="/run/netns/$NETNS" -- bash "$0" "$@"
}

install_packages() { # LOG PACKAGE...: Debian's, whose scripts must not start a second containerd
    local log=$LOGS/$1.log rule=/usr/sbin/policy-rc.d; shift
    if [ ! -e "$rule" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$rule"
        chmod +x "$rule"
        touch "$RUN/policy-rc.d"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >"$log" 2>&1
    if [ -e "$RUN/policy-rc.d" ]; then rm -f "$rule" "$RUN/policy-rc.d"; fi
}

# A pid file holds "PID STARTTIME": a pid may be given out again.
started_at() { # PID: nothing for a zombie
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'
}
running() { # NAME
    local pid at
    [ -s "$RUN/$1.pid" ] && read -r pid at <"$RUN/$1.pid" && [ "$(started_at "$pid" || true)" = "$at" ]
}
start() { # NAME COMMAND...
    local name=$1; shift
    if running "$name"; then return; fi
    setsid nohup "$@" >>"$LOGS/$name.log" 2>&1 </dev/null &
    local pid=$!
    printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$RUN/$name.pid"
}
stop() { # NAME [SECONDS]
    local pid at
    if running "$1"; then
        read -r pid at <"$RUN/$1.pid"
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq $(( ${2:-15} * 5 ))); do running "$1" || break; sleep 0.2; done
        if running "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
        say "stopped $1"
    fi
    rm -f "$RUN/$1.pid"
}
wait_for() { # SECONDS WHAT COMMAND...
    local seconds=$1 what=$2 end=$((SECONDS + $1)); shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || die "$what: not ready after $seconds s (logs: $LOGS)"
        sleep 0.3
    done
}
put() { # FILE: written from stdin only where it changes, since kube-proxy ends when its file is touched
    cat >"$1.new"
    if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}
ctr_() { ctr --address "$CONTAINERD_SOCKET" -n k8s.io "$@"; }
