#!/usr/bin/env bash
# engine.sh up          a docker engine that builds images: no bridge, no packet filters, data in $LAB/docker
# engine.sh base NAME   image NAME = Debian bookworm with Python 3.11, where no registry can be reached
# engine.sh image       the project's image as localhost/cifar-dist:dev, on that base or on BASE_IMAGE
# engine.sh build ARGS  docker build with the host's network and its certificates as secret "ca"
# engine.sh load IMAGE  hand IMAGE to the lab's node
# engine.sh docker ARGS any other docker command on this engine; engine.sh down stops it
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
export DOCKER_HOST=unix://$RUN/docker.sock DOCKER_BUILDKIT=1
IMAGE=localhost/cifar-dist:dev
CHECKOUT=$(cd "$HERE/../.." && pwd)

docker_() { /usr/bin/docker "$@"; }     # Debian's client has BuildKit without a plugin
up() {
    if [ ! -x /usr/sbin/dockerd ] || [ ! -x /usr/bin/docker ]; then
        install_packages apt-docker docker.io
    fi
    mkdir -p "$LAB/docker"
    start dockerd dockerd --data-root "$LAB/docker" --exec-root "$RUN/docker" \
        --pidfile "$RUN/dockerd.own" -H "$DOCKER_HOST" --bridge none --iptables=false --ip-forward=false
    wait_for 30 "docker engine" docker_ version
}
base() { # NAME
    local root=$LAB/rootfs/base
    if [ ! -x "$root/usr/bin/python3.11" ]; then
        rm -rf "$root"
        mkdir -p "$root"
        debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" \
            >"$LOGS/debootstrap.log" 2>&1
        rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    fi
    tar -C "$root" -c . | docker_ import - "$1" >/dev/null
    say "image $1"
}
build() {
    docker_ build --network host --build-arg CA_BUNDLE=/run/secrets/ca \
        --secret "id=ca,src=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$@"
}
image() {
    local from=${BASE_IMAGE:-local/python:3.11} version
    if [ "$from" = local/python:3.11 ] && [ -z "$(docker_ images -q "$from")" ]; then base "$from"; fi
    version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$CHECKOUT/cifar_dist/__init__.py")
    build --build-arg "BASE_IMAGE=$from" --build-arg "VERSION=$version" \
        --build-arg "REVISION=$(git -C "$CHECKOUT" describe --always --dirty --abbrev=40 --exclude "*" 2>/dev/null || true)" \
        --build-arg "CREATED=$(date -u +%FT%TZ)" \
        -f "$CHECKOUT/deploy/Dockerfile" -t "$IMAGE" "$CHECKOUT"
    say "image $IMAGE"
}
load() { # IMAGE
    local id mark
    running containerd || die "the node is not up (up.sh node)"
    mark=$RUN/loaded.$(tr '/:' '--' <<<"$1")
    id=$(docker_ images -q --no-trunc "$1")
    [ -n "$id" ] || die "the engine has no $1"
    if [ "$(cat "$mark" 2>/dev/null)" = "$id" ]; then return; fi
    # All of it goes as a stream: an archive of gigabytes on disk would be the third copy.
    load_top "$1" "$id" || docker_ save "$1" | ctr_ images import - >/dev/null
    echo "$id" >"$mark"
    say "loaded $1"
}
load_top() { # IMAGE ID: the code alone, where the node has the packages below it
    local upper archive ended=0
    upper=$(docker_ inspect -f '{{.GraphDriver.Data.UpperDir}}' "$1")
    archive=$(mktemp --suffix .tar)
    python3 "$HERE/top_layer.py" "$1" "$LAB/docker/image/overlay2/imagedb/content/sha256/${2#sha256:}" \
        "$upper" "$LAB/containerd/io.containerd.content.v1.content/blobs" "$archive" &&
        ctr_ images import "$archive" >/dev/null || ended=$?
    rm -f "$archive"
    return $ended
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
up) up ;;
down) stop dockerd 20 ;;
base|build|image|load)
    running dockerd || die "the engine is not up (engine.sh up)"
    "$command" "$@"
    ;;
docker) docker_ "$@" ;;
*) die "usage: engine.sh up | base NAME | image | build ARGS | load IMAGE | docker ARGS | down" ;;
esac
