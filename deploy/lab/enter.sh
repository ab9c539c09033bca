#!/usr/bin/env bash
# enter.sh [COMMAND...]   run a command (else a shell) in the lab's network, with its KUBECONFIG
# Files, processes and users stay the machine's own. From inside nothing outside can be reached.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ -e "/run/netns/$NETNS" ] || die "the lab is not up (up.sh)"
exec nsenter --net="/run/netns/$NETNS" -- "${@:-${SHELL:-bash}}"
