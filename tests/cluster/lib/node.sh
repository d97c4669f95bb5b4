# SPDX-License-Identifier: Apache-2.0
# A node: a mount and a network namespace of its own, held by one process, with containerd, kubelet
# and kube-proxy in them. No PID namespace: the PIDs that BPF sees are those that everybody sees.

on_node() {
	local node=$1
	shift
	nsenter -t "$(cat "$CLUSTER_RUN/node$node/holder.pid")" -m -n --wd=/ "$@"
}

# start NODE NAME COMMAND...: a daemon of the node, its output in the node's log folder.
start() {
	local node=$1 name=$2 holder
	shift 2
	holder=$(cat "$CLUSTER_RUN/node$node/holder.pid")
	setsid nsenter -t "$holder" -m -n --wd=/ "$@" </dev/null \
		>"$CLUSTER_RUN/node$node/log/$name.log" 2>&1 7>&- &
	remember "$name" $! "$CLUSTER_RUN/node$node/log/$name.log"
}

# What was started, for down (pids) and to notice at once that a daemon has ended (daemons).
remember() {
	identity_of "$2" >>"$CLUSTER_RUN/pids"
	echo "$2 $1 $3" >>"$CLUSTER_RUN/daemons"
}

# One line about the first daemon that is no longer there.
ended_daemon() {
	local pid name log
	[ -f "$CLUSTER_RUN/daemons" ] || return 0
	while read -r pid name log; do
		kill -0 "$pid" 2>/dev/null || { echo "$name has ended: $(tail -n 1 "$log")"; return 0; }
	done <"$CLUSTER_RUN/daemons"
}

node_name() { echo "$CLUSTER-$1"; }
node_ip() { echo "$NODE_NET.$1"; }
node_pods() { echo "198.18.$(($1 - 1)).0/24"; }

# Folders that a node mounts its own over; those that we make here are taken away by down. One that
# another cluster made is noted, too: whichever goes last takes it away.
MOUNT_POINTS=(/var/lib/kubelet /var/lib/containerd /var/lib/etcd /var/lib/cni /var/log/pods
	/var/log/containers /etc/cni)
make_mount_points() {
	local folder
	for folder in "${MOUNT_POINTS[@]}"; do
		[ ! -d "$folder" ] || grep -qsx "$folder" /var/tmp/npt-cluster-*/made || continue
		mkdir -p "$folder"
		echo "$folder" >>"$CLUSTER_RUN/made"
	done
}

# A control group root per node: a kubelet empties every pod group below its root that it does not know.
make_cgroups() {
	local path=$CLUSTER/n$1 hierarchy file level
	for hierarchy in /sys/fs/cgroup/*/; do
		[ -d "$hierarchy" ] && [ ! -L "${hierarchy%/}" ] || continue
		mkdir -p "$hierarchy$path"
	done
	[ -e /sys/fs/cgroup/cpuset/cpuset.cpus ] || return 0
	for file in cpus mems; do
		for level in "$CLUSTER" "$path"; do
			cat "/sys/fs/cgroup/cpuset/cpuset.$file" >"/sys/fs/cgroup/cpuset/$level/cpuset.$file"
		done
	done
}

write_network_config() {
	cat >"$1/etc-cni/net.d/10-$CLUSTER.conflist" <<-JSON
		{"cniVersion": "1.0.0", "name": "$CLUSTER", "plugins": [
		 {"type": "bridge", "bridge": "cni0", "isGateway": true, "isDefaultGateway": true, "ipMasq": false,
		  "hairpinMode": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "$2"}]]}},
		 {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
	JSON
}

write_kubelet_config() {
	local home=$1 node=$2
	: >"$CLUSTER_RUN/resolv.conf"
	cat >"$home/kubelet.yaml" <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		failCgroupV1: false
		cgroupDriver: cgroupfs
		cgroupRoot: /$CLUSTER/n$node
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		failSwapOn: false
		maxOpenFiles: 20000
		oomScoreAdj: 0
		registerNode: true
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
		authorization: {mode: Webhook}
		tlsCertFile: $home/kubelet.crt
		tlsPrivateKeyFile: $home/kubelet.key
		clusterDNS: [$DNS_IP]
		clusterDomain: cluster.local
		resolvConf: $CLUSTER_RUN/resolv.conf
		nodeStatusUpdateFrequency: 4s
		imageGCHighThresholdPercent: 100
		imageGCLowThresholdPercent: 99
		evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
		serializeImagePulls: false
	YAML
}

# The node's identity, system:node:NAME, for serving and for calling; signed by the cluster's CA.
write_identity() {
	local home=$1 name=$2 ip=$3
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$home/kubelet.key" \
		-subj "/O=system:nodes/CN=system:node:$name" -out "$home/kubelet.csr" 2>/dev/null
	openssl x509 -req -in "$home/kubelet.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial \
		-days 3650 -out "$home/kubelet.crt" 2>/dev/null -extfile <(
			echo "subjectAltName=DNS:$name,IP:$ip"
			echo "extendedKeyUsage=serverAuth,clientAuth"
			echo "keyUsage=digitalSignature"
		)
	sed "s#certificate-authority: ca.crt#certificate-authority: $PKI/ca.crt#
		s#kubelet.crt#$home/kubelet.crt#; s#kubelet.key#$home/kubelet.key#" \
		"$PKI/kubelet.conf" >"$home/kubelet.conf"
}

# The process that holds the node's namespaces. Six sysctl files are bound over: the kubelet insists on
# values that a machine without CAP_SYS_RESOURCE cannot set.
hold_namespaces() {
	local home=$1
	HOME_OF_NODE=$home setsid unshare --mount --net --propagation slave bash -ec '
		mount --make-rshared /
		mount --bind "$HOME_OF_NODE/run" /run
		mount --make-shared /run
		mkdir -p /run/netns /run/lock
		for pair in lib-kubelet:/var/lib/kubelet lib-containerd:/var/lib/containerd lib-cni:/var/lib/cni \
			log-pods:/var/log/pods log-containers:/var/log/containers etc-cni:/etc/cni; do
			mount --bind "$HOME_OF_NODE/${pair%%:*}" "${pair##*:}"
			mount --make-shared "${pair##*:}"
		done
		mount -t tmpfs tmpfs /var/lib/etcd
		for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
			kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
			file=$HOME_OF_NODE/sys/${setting%%=*}
			mkdir -p "$(dirname "$file")"
			echo "${setting##*=}" >"$file"
			mount --bind "$file" "/proc/sys/${setting%%=*}"
		done
		ip link set lo up
		sysctl -qw net.ipv4.ip_forward=1
		echo $$ >"$HOME_OF_NODE/holder.tmp"
		mv "$HOME_OF_NODE/holder.tmp" "$HOME_OF_NODE/holder.pid"
		exec sleep infinity' </dev/null >"$home/log/holder.log" 2>&1 7>&- &
	remember "the holder of the namespaces" $! "$home/log/holder.log"
	until_ok 10 "the namespaces of a node" test -s "$home/holder.pid"
}

# Node 1 has the bridge that joins the nodes; the others hang on it by a veth pair.
connect_node() {
	local node=$1 ip
	ip=$(node_ip "$node")
	if [ "$node" = 1 ]; then
		on_node 1 ip link add npt0 type bridge
		on_node 1 ip addr add "$ip/24" dev npt0
		on_node 1 ip link set npt0 up
		on_node 1 ip route add default dev npt0
		return
	fi
	on_node 1 ip link add "npt$node" type veth peer name eth0 netns "$(cat "$CLUSTER_RUN/node$node/holder.pid")"
	on_node 1 ip link set "npt$node" master npt0 up
	on_node 1 ip route add "$(node_pods "$node")" via "$ip"
	on_node "$node" ip addr add "$ip/24" dev eth0
	on_node "$node" ip link set eth0 up
	on_node "$node" ip route add default via "$(node_ip 1)"
}

# Namespaces, containerd and images; what needs no API server yet.
prepare_node() {
	local node=$1 home=$CLUSTER_RUN/node$1
	mkdir -p "$home"/{log,run,sys,lib-kubelet,lib-containerd,lib-cni,log-pods,log-containers,etc-cni/net.d}
	make_cgroups "$node"
	write_network_config "$home" "$(node_pods "$node")"
	write_identity "$home" "$(node_name "$node")" "$(node_ip "$node")"
	write_kubelet_config "$home" "$node"
	hold_namespaces "$home"
	connect_node "$node"
	start "$node" containerd containerd -c "$CLUSTER_HOME/conf/containerd.toml"
}

fill_node() {
	until_ok 30 "containerd of node $1" on_node "$1" ctr -a /run/containerd/containerd.sock version
	import_image "$1" "$CLUSTER_CACHE"/images/{pause,coredns,busybox,traffic}.tar
}

join_node() {
	local node=$1 home=$CLUSTER_RUN/node$1 name
	name=$(node_name "$node")
	start "$node" kubelet kubelet --config="$home/kubelet.yaml" --kubeconfig="$home/kubelet.conf" \
		--hostname-override="$name" --node-ip="$(node_ip "$node")"
	start "$node" kube-proxy kube-proxy --kubeconfig="$PKI/proxy.conf" --proxy-mode=iptables \
		--cluster-cidr="$POD_NET" --hostname-override="$name" --conntrack-max-per-core=0 \
		--conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}
