# SPDX-License-Identifier: Apache-2.0
# etcd, API server, controller manager and scheduler, on node 1. Everybody has a certificate of the
# identity that Kubernetes gives it, so RBAC, the node authorizer and NodeRestriction are the real ones.

start_etcd() {
	start 1 etcd etcd --data-dir /var/lib/etcd/data --unsafe-no-fsync --log-level warn \
		--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
		--initial-cluster default=http://127.0.0.1:2380
}

start_apiserver() {
	start 1 kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
		--advertise-address="$(node_ip 1)" --secure-port=6443 --service-cluster-ip-range="$SERVICE_NET" \
		--tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
		--client-ca-file="$PKI/ca.crt" --kubelet-client-certificate="$PKI/apiserver-kubelet.crt" \
		--kubelet-client-key="$PKI/apiserver-kubelet.key" --kubelet-certificate-authority="$PKI/ca.crt" \
		--kubelet-preferred-address-types=InternalIP \
		--requestheader-client-ca-file="$PKI/front-ca.crt" \
		--requestheader-allowed-names=front-proxy-client \
		--requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
		--requestheader-extra-headers-prefix=X-Remote-Extra- \
		--proxy-client-cert-file="$PKI/front-client.crt" --proxy-client-key-file="$PKI/front-client.key" \
		--service-account-issuer=https://kubernetes.default.svc.cluster.local \
		--service-account-signing-key-file="$PKI/sa.key" --service-account-key-file="$PKI/sa.pub" \
		--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true
}

# curl, not kubectl: a poll of a 142 MB binary would take the CPU from what it waits for.
apiserver_ready() {
	[ "$(on_node 1 curl -s --cacert "$PKI/ca.crt" "https://$(node_ip 1):6443/readyz")" = ok ]
}

start_controllers() {
	start 1 kube-controller-manager kube-controller-manager --kubeconfig="$PKI/kcm.conf" \
		--authentication-kubeconfig="$PKI/kcm.conf" --authorization-kubeconfig="$PKI/kcm.conf" \
		--service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" \
		--client-ca-file="$PKI/ca.crt" --requestheader-client-ca-file="$PKI/front-ca.crt" \
		--cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
		--use-service-account-credentials=true --kube-api-qps=1000 --kube-api-burst=1000 \
		--leader-elect=false
	start 1 kube-scheduler kube-scheduler --kubeconfig="$PKI/scheduler.conf" \
		--authentication-kubeconfig="$PKI/scheduler.conf" \
		--authorization-kubeconfig="$PKI/scheduler.conf" --leader-elect=false
}
