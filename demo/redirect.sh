#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The pod's network for a sidecar that runs as user 1337: what comes in goes to 15006, what the
# program sends goes to 15001; the sidecar's own traffic and loopback are left alone.
set -e
rule() { iptables -w -t nat "$@"; }
rule -N MESH_IN
rule -N MESH_OUT
rule -A PREROUTING -p tcp -j MESH_IN
rule -A OUTPUT -p tcp -j MESH_OUT
rule -A MESH_IN -p tcp --dport 15000 -j RETURN
rule -A MESH_IN -p tcp -j REDIRECT --to-ports 15006
rule -A MESH_OUT -s 127.0.0.6/32 -o lo -j RETURN
rule -A MESH_OUT -m owner --uid-owner 1337 -j RETURN
rule -A MESH_OUT -d 127.0.0.1/32 -j RETURN
rule -A MESH_OUT -p tcp -j REDIRECT --to-ports 15001
