# SPDX-License-Identifier: Apache-2.0
# Base images of the cluster itself, as archives in the cache; and how archives get into its nodes.

# archive NAME:TAG CONFIG-JSON: makes the image of the folder $ROOT, once.
archive() { python3 "$CLUSTER_HOME/archive.py" "$ROOT" "docker.io/local/$1" "$IMAGES/${1%%:*}.tar" "$2"; }

make_pause() {
	gcc -Os -static -s -o "$ROOT/pause" "$CLUSTER_HOME/src/pause.c"
	archive pause:1 '{"Entrypoint":["/pause"]}'
}

make_busybox_root() {
	local applet
	mkdir -p "$ROOT"/{bin,tmp,etc,root,proc,sys,dev}
	cp /bin/busybox "$ROOT/bin/"
	for applet in $(/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$ROOT/bin/$applet"
	done
	echo root:x:0:0:root:/root:/bin/sh >"$ROOT/etc/passwd"
	echo root:x:0: >"$ROOT/etc/group"
}

make_busybox() {
	make_busybox_root
	archive busybox:1 '{"Cmd":["sh"]}'
}

# busybox and the programs that tests run in pods.
make_traffic() {
	make_busybox_root
	gcc -O1 -static -o "$ROOT/bin/traffic" "$CLUSTER_HOME/src/traffic.c" 2>/dev/null
	archive traffic:1 '{"Entrypoint":["/bin/traffic"]}'
}

make_coredns() {
	cp -L "$CLUSTER_BIN/coredns" "$ROOT/coredns"
	archive coredns:1 '{"Entrypoint":["/coredns"]}'
}

ensure_base_images() {
	IMAGES=$CLUSTER_CACHE/images
	mkdir -p "$IMAGES"
	local name
	for name in pause busybox coredns traffic; do
		[ ! -s "$IMAGES/$name.tar" ] || [ "$CLUSTER_HOME/src/$name.c" -nt "$IMAGES/$name.tar" ] || continue
		say "making the image $name"
		ROOT=$(mktemp -d)
		"make_$name"
		rm -rf "$ROOT"
	done
}

# import_image NODE-NUMBER ARCHIVE...
import_image() {
	local node=$1 archive
	shift
	for archive; do
		on_node "$node" ctr -a /run/containerd/containerd.sock -n k8s.io images import "$archive" \
			>>"$CLUSTER_RUN/node$node/log/import.log" 2>&1
	done
}
