#!/usr/bin/env bash
# image.sh program NAME        image localhost/NAME:lab FROM scratch with the one static program bin/NAME
# image.sh root DIR NAME:TAG   image of a root file system
# image.sh load FILE.tar       import an archive (docker save, or one of the above) into the node
# image.sh list                what the node has
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
archive() { python3 "$HERE/image.py" "$@"; }

program() { # NAME
    local at=/$1 user=65532:65532
    case $1 in
    kuberay-operator-*) at=/manager ;;      # what the operator's own manifests start
    coredns) user=0:0 ;;
    tiny) at=/pause ;;
    esac
    archive "$IMAGES/$1.tar" "localhost/$1:lab" --file "$BIN/$1=$at" --user "$user" --entrypoint "$at"
}
root() { # DIR NAME:TAG
    archive "$IMAGES/$(tr '/:' '--' <<<"$2").tar" "$2" --root "$1"
}
load() { # FILE
    local mark seen
    mark=$(stat -c %Y.%s "$1") seen=$RUN/loaded.$(basename "$1")
    running containerd || die "the node is not up (up.sh node)"
    if [ "$(cat "$seen" 2>/dev/null)" = "$mark" ]; then return; fi
    ctr_ images import "$1" >/dev/null
    echo "$mark" >"$seen"
    say "loaded $(basename "$1")"
}
case "${1:-} $#" in
"program 2"|"load 2"|"root 3") "$@" ;;
"list 1") ctr_ images list -q | grep -v '^sha256' ;;
*) die "usage: image.sh program NAME | root DIR NAME:TAG | load FILE.tar | list" ;;
esac
