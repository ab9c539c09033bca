#!/usr/bin/env bash
# nodes.sh gpu N    N fake nodes of 8 GPUs, with the taint that real GPU nodes have
# nodes.sh cpu N    N fake nodes without, tainted so that a pod which must really run never lands there
# nodes.sh delete   remove all fake nodes and the pods on them
# kwok plays their kubelet: pods are scheduled and become Running, but nothing runs and nothing listens.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
enter_network "$@"
KIND=${1:-} COUNT=${2:-1}
case $KIND in
gpu)
    TAINTS='[{key: nvidia.com/gpu, value: present, effect: NoSchedule}]' GPUS=', nvidia.com/gpu: "8"'
    LABELS=', nvidia.com/gpu.present: "true", nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3'
    ;;
cpu)
    TAINTS='[{key: kwok.x-k8s.io/node, value: fake, effect: NoSchedule}]' GPUS='' LABELS=''
    ;;
delete)
    kubectl delete nodes -l type=kwok --wait=false >/dev/null
    ending='{range .items[?(@.metadata.deletionTimestamp)]}{.metadata.namespace} {.metadata.name}{"\n"}{end}'
    kubectl get pods -A -o jsonpath="$ending" | while read -r namespace pod; do
        kubectl delete pod -n "$namespace" "$pod" --force --grace-period=0 >/dev/null 2>&1 || true
    done
    exit
    ;;
*) die "usage: nodes.sh gpu|cpu N | delete" ;;
esac
RESOURCES="{cpu: \"96\", memory: 1Ti, ephemeral-storage: 1Ti, pods: \"110\"$GPUS}"
for i in $(seq -f %04g 0 $((COUNT - 1))); do
    cat <<YAML
---
apiVersion: v1
kind: Node
metadata:
  name: fake-$KIND-$i
  annotations: {kwok.x-k8s.io/node: fake, node.alpha.kubernetes.io/ttl: "0"}
  labels: {type: kwok, kubernetes.io/arch: amd64, kubernetes.io/os: linux, kubernetes.io/hostname: fake-$KIND-$i,
           topology.kubernetes.io/zone: zone-$((10#$i % 3))$LABELS}
spec: {taints: $TAINTS}
status:
  allocatable: $RESOURCES
  capacity: $RESOURCES
  nodeInfo: {kubeletVersion: fake, architecture: amd64, operatingSystem: linux}
  phase: Running
YAML
done | kubectl apply --server-side --force-conflicts -f - >/dev/null
say "$(kubectl get nodes -l type=kwok -o name | wc -l) fake nodes"
