#!/usr/bin/env bash
# smoke.sh [control-plane] [scale] [node] [ray]   prove the lab itself; without arguments everything
#                                               that the running level allows, but scale
# Prints "ok" or "FAIL" lines and ends with 1 where anything failed. A checked function runs without
# set -e: it must say "|| return 1" itself.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
enter_network "$@"
RAY_IMAGE=localhost/cifar-dist:dev
FAILED=0
check() { # NAME COMMAND...
    local name=$1 out start=$SECONDS; shift
    if out=$("$@" 2>&1); then printf 'ok    %s (%d s)\n' "$name" $((SECONDS - start))
    else printf 'FAIL  %s\n%s\n' "$name" "$(tail -n 12 <<<"$out" | sed 's/^/      /')"; FAILED=1; fi
}
refused() { # TEXT COMMAND...: the command must fail and say TEXT
    local text=$1 out; shift
    if out=$("$@" 2>&1); then echo "not refused: $out"; return 1; fi
    grep -qi -- "$text" <<<"$out" || { echo "$out"; return 1; }
}
until_is() { # SECONDS WANTED COMMAND...
    local end=$((SECONDS + $1)) wanted=$2 out; shift 2
    while :; do
        out=$("$@" 2>&1) || true
        if [[ $out =~ $wanted ]]; then return; fi
        [ "$SECONDS" -lt "$end" ] || { echo "got '$out', wanted '$wanted'"; return 1; }
        sleep 1
    done
}
fresh_namespace() { # NAME [LABEL]
    kubectl delete namespace "$1" --ignore-not-found --wait=true --timeout=120s >/dev/null 2>&1 || true
    kubectl create namespace "$1" >/dev/null
    if [ -n "${2:-}" ]; then kubectl label namespace "$1" "$2" >/dev/null; fi
}
small_rayjob() { # NAMESPACE NAME [EXTRA SPEC LINE]: for fake nodes; nothing will ever answer on its dashboard port
    cat <<YAML
apiVersion: ray.io/v1
kind: RayJob
metadata: {name: $2, namespace: $1}
spec:
  entrypoint: "true"
  submissionMode: HTTPMode
  ${3:-shutdownAfterJobFinishes: true}
  rayClusterSpec:
    rayVersion: "$RAY_VERSION"
    headGroupSpec:
      rayStartParams: {num-cpus: "0"}
      template:
        spec:
          nodeSelector: {type: kwok}
          tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
          containers: [{name: ray, image: localhost/tiny:lab, resources: {limits: {cpu: "1", memory: 2Gi}}}]
    workerGroupSpecs:
    - groupName: gpu
      replicas: 2
      minReplicas: 0
      maxReplicas: 2
      rayStartParams: {}
      template:
        spec:
          nodeSelector: {type: kwok}
          tolerations: [{key: nvidia.com/gpu, operator: Exists}]
          containers: [{name: ray, image: localhost/tiny:lab, resources: {limits: {cpu: "4", memory: 16Gi, nvidia.com/gpu: "1"}}}]
YAML
}
tiny_pod() { # NAMESPACE NAME LABELS ARGUMENTS: restricted pod of the test image
    cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $2, namespace: $1, labels: {$3}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  nodeSelector: {kubernetes.io/hostname: $NODE_NAME}
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: tiny
    image: localhost/tiny:lab
    imagePullPolicy: Never
    args: [$4]
    ports: [{containerPort: 8000, name: web}]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
YAML
}
apply() { kubectl apply --server-side -f - >/dev/null; }
phase() { kubectl get pod -n "$1" "$2" -o jsonpath='{.status.phase}'; }
running_pods() { kubectl get pods -n "$1" --field-selector status.phase=Running -o name | wc -l; }

smoke_control_plane() {
    check "API server is $KUBERNETES_VERSION and ready" \
        until_is 10 "$KUBERNETES_VERSION" kubectl get --raw /version
    check "RBAC refuses a stranger" refused "^no" kubectl auth can-i create pods --as nobody
    fresh_namespace smoke-cp pod-security.kubernetes.io/enforce=restricted
    check "Pod Security refuses a plain pod in a restricted namespace" \
        refused 'violates PodSecurity "restricted' kubectl run -n smoke-cp plain --image localhost/tiny:lab --dry-run=server
    kubectl label namespace smoke-cp pod-security.kubernetes.io/enforce=privileged --overwrite >/dev/null
    check "strict validation refuses an unknown RayJob field" refused "unknown field" strict_unknown
    check "a RayJob that the operator must refuse becomes ValidationFailed" validation_failed
    "$HERE/nodes.sh" gpu 2 >/dev/null
    "$HERE/nodes.sh" cpu 1 >/dev/null
    check "RayJob -> RayCluster -> head and GPU workers Running on fake nodes" rayjob_on_fake_nodes
    kubectl delete namespace smoke-cp --wait=false >/dev/null
    "$HERE/nodes.sh" delete
}
strict_unknown() {
    small_rayjob smoke-cp unknown "shutdownAfterJobFinnishes: true" |
        kubectl create --validate=strict --dry-run=server -f -
}
validation_failed() {
    small_rayjob smoke-cp refused "ttlSecondsAfterFinished: 5" | apply
    until_is 30 ValidationFailed kubectl get rayjob -n smoke-cp refused -o 'jsonpath={.status}'
}
rayjob_on_fake_nodes() {
    small_rayjob smoke-cp gpu-job | apply
    until_is 60 "^3$" running_pods smoke-cp || { kubectl get pods -n smoke-cp -o wide; return 1; }
    kubectl delete rayjob -n smoke-cp gpu-job --wait=false
}
smoke_scale() {
    check "1,000 fake GPU nodes" "$HERE/nodes.sh" gpu 1000
    fresh_namespace smoke-scale
    check "2,000 one-GPU pods scheduled and Running" two_thousand_pods
    kubectl delete namespace smoke-scale --wait=false >/dev/null
    "$HERE/nodes.sh" delete
}
two_thousand_pods() {
    kubectl apply --server-side -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: gpu, namespace: smoke-scale}
spec:
  replicas: 2000
  selector: {matchLabels: {app: gpu}}
  template:
    metadata: {labels: {app: gpu}}
    spec:
      nodeSelector: {type: kwok}
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers: [{name: x, image: localhost/tiny:lab, resources: {limits: {nvidia.com/gpu: "1"}}}]
YAML
    until_is 400 "^2000$" kubectl get deploy -n smoke-scale gpu -o 'jsonpath={.status.readyReplicas}'
}

smoke_node() {
    fresh_namespace smoke-node pod-security.kubernetes.io/enforce=restricted
    check "a restricted pod runs and gets an address" server_runs
    check "Service name resolves and connects (DNS, kube-proxy)" client_gets http://web.smoke-node.svc.cluster.local:80 dns
    check "short name through the search list" client_gets http://web.smoke-node short
    check "a pod reaches the API server through its Service" client_runs api "lookup, kubernetes.default.svc.cluster.local"
    check "PodMonitor and PrometheusRule are served" until_is 5 "podmonitors" \
        kubectl get crd podmonitors.monitoring.coreos.com prometheusrules.monitoring.coreos.com -o name
    check "kubectl logs" until_is 5 "200 OK" kubectl logs -n smoke-node dns
    check "kubectl exec" until_is 5 "10.215" kubectl exec -n smoke-node web -- /pause lookup web.smoke-node.svc.cluster.local
    check "a name outside the cluster fails at once" refused "no such host" kubectl exec -n smoke-node web -- /pause lookup example.invalid
    check "NetworkPolicy: default deny holds, the allowed client passes" network_policy
    kubectl apply --server-side -f "$HERE/manifests/s3.yaml" >/dev/null
    check "S3 endpoint is up" kubectl -n lab-s3 rollout status deploy/s3 --timeout=60s
    check "S3 endpoint answers by its Service name" client_gets http://s3.lab-s3:7070/health s3
    [ -n "${KEEP:-}" ] || kubectl delete namespace smoke-node --wait=false >/dev/null
}
server_runs() {
    tiny_pod smoke-node web "app: web" 'serve, ":8000", hello' | apply
    kubectl expose pod web -n smoke-node --name web --port 80 --target-port web >/dev/null
    until_is 30 Running phase smoke-node web || return 1
    kubectl get pod -n smoke-node web -o jsonpath='{.status.podIP}' | grep -q '^10\.214\.'
}
client_gets() { client_runs "$2" "get, \"$1\""; }
client_runs() { # NAME ARGUMENTS [LABELS]
    kubectl delete pod -n smoke-node "$1" --ignore-not-found --now >/dev/null 2>&1
    tiny_pod smoke-node "$1" "${3:-app: client}" "$2" | apply
    until_is 60 "Succeeded|Failed" phase smoke-node "$1" || return 1
    [ "$(phase smoke-node "$1")" = Succeeded ] || { kubectl logs -n smoke-node "$1"; return 1; }
}
network_policy() {
    kubectl apply --server-side -f - >/dev/null <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: smoke-node}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {friend: "yes"}}}], ports: [{port: web}]}]
YAML
    sleep 1
    client_runs friend 'get, "http://web.smoke-node"' 'friend: "yes"' || return 1
    if client_runs stranger 'get, "http://web.smoke-node"' "friend: no-such" >/dev/null 2>&1; then
        echo "the stranger got through"
        return 1
    fi
    kubectl delete networkpolicy -n smoke-node web >/dev/null
}

smoke_ray() {
    kubectl apply --server-side -f "$HERE/manifests/s3.yaml" >/dev/null
    kubectl -n lab-s3 rollout status deploy/s3 --timeout=60s >/dev/null
    kubectl delete namespace lab-ray --ignore-not-found --wait=true --timeout=180s >/dev/null 2>&1 || true
    sed "s/@RAY_VERSION@/$RAY_VERSION/; s#@IMAGE@#$RAY_IMAGE#" "$HERE/manifests/rayjob.yaml" | apply
    check "RayJob (HTTPMode, token, restricted namespace, 1 worker) SUCCEEDED" rayjob_ends
    local head; head=$(kubectl get pod -n lab-ray -l ray.io/node-type=head -o 'jsonpath={.items[0].status.podIP}')
    local jobs=http://$head:8265/api/jobs/ token="Authorization: Bearer lab-token-0123456789abcdef" id
    id=$(kubectl get rayjob -n lab-ray smoke -o 'jsonpath={.status.jobId}')
    check "dashboard refuses without a token" until_is 5 "^401$" curl -s -o /dev/null -w '%{http_code}' "$jobs"
    check "dashboard answers with the token" \
        until_is 5 "^200$" curl -s -o /dev/null -w '%{http_code}' -H "$token" "$jobs"
    check "the driver's log: task on the worker, S3 refused the second writer" \
        until_is 5 "s3 ok.*driver done" curl -s -H "$token" "$jobs$id/logs"
    kubectl delete namespace lab-ray --wait=false >/dev/null
}

rayjob_ends() {
    until_is 300 "^(Complete|Failed)/" rayjob_status || return 1
    [ "$(rayjob_status)" = Complete/SUCCEEDED ] || { kubectl get rayjob -n lab-ray smoke -o 'jsonpath={.status}'; return 1; }
}
rayjob_status() {
    kubectl get rayjob -n lab-ray smoke -o 'jsonpath={.status.jobDeploymentStatus}/{.status.jobStatus}'
}

if [ $# = 0 ]; then
    set -- control-plane
    if running kubelet; then
        set -- "$@" node
        if ctr_ images list -q | grep -qx "$RAY_IMAGE"; then set -- "$@" ray; fi
    fi
fi
running apiserver || die "nothing is up (up.sh)"
for part; do
    declare -F "smoke_${part//-/_}" >/dev/null || die "unknown part $part"
    "smoke_${part//-/_}"
done
exit $FAILED
