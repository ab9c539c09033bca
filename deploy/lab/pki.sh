# Certificates and kubeconfigs of the lab: one CA, one client certificate per component. Made once, kept in $PKI.
# Sourced by up.sh after lib.sh.
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
authority() { # NAME
    [ -s "$PKI/$1.crt" ] && return
    key "$PKI/$1.key"
    openssl req -x509 -new -key "$PKI/$1.key" -days 365 -subj "/CN=k8s-lab-$1" -out "$PKI/$1.crt" \
        -addext "keyUsage=critical,keyCertSign,cRLSign,digitalSignature" 2>/dev/null
}
certificate() { # NAME SUBJECT [SUBJECT ALTERNATIVE NAMES] [AUTHORITY]
    local name=$1 subject=$2 san=${3:-} ca=${4:-ca}
    [ -s "$PKI/$name.crt" ] && return
    key "$PKI/$name.key"
    { echo "keyUsage=critical,digitalSignature"; echo "extendedKeyUsage=clientAuth,serverAuth"
      if [ -n "$san" ]; then echo "subjectAltName=$san"; fi; } >"$PKI/$name.ext"
    openssl req -new -key "$PKI/$name.key" -subj "$subject" 2>/dev/null |
        openssl x509 -req -CA "$PKI/$ca.crt" -CAkey "$PKI/$ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 365 \
            -extfile "$PKI/$name.ext" -out "$PKI/$name.crt" 2>/dev/null
}
kubeconfig() { # FILE CERTIFICATE
    cat >"$1" <<YAML
apiVersion: v1
kind: Config
current-context: lab
clusters: [{name: lab, cluster: {server: "https://$NODE_IP:6443", certificate-authority: "$PKI/ca.crt"}}]
users: [{name: lab, user: {client-certificate: "$PKI/$2.crt", client-key: "$PKI/$2.key"}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
YAML
    chmod 600 "$1"
}
make_pki() {
    authority ca; authority front-proxy-ca
    local service=DNS:kubernetes.default
    certificate apiserver /CN=kube-apiserver "DNS:kubernetes,$service,$service.svc,$service.svc.cluster.local,\
DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$SERVICE_FIRST_IP"
    certificate apiserver-kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
    certificate front-proxy-client /CN=front-proxy-client "" front-proxy-ca
    certificate admin /O=system:masters/CN=lab-admin
    certificate controller-manager /CN=system:kube-controller-manager
    certificate scheduler /CN=system:kube-scheduler
    certificate proxy /CN=system:kube-proxy
    certificate kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$NODE_IP"
    if [ ! -s "$PKI/service-accounts.key" ]; then
        key "$PKI/service-accounts.key"
        openssl ec -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub" 2>/dev/null
    fi
    kubeconfig "$KUBECONFIG" admin
    local name
    for name in controller-manager scheduler proxy kubelet; do
        kubeconfig "$PKI/$name.kubeconfig" "$name"
    done
}
