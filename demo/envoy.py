#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the configuration of a sidecar: what comes in (15006) is TLS from other sidecars or plain
HTTP, what goes out (15001) goes on as mTLS to where the program wanted it. TLS 1.3, SPIFFE names."""
import json

TYPE = "type.googleapis.com/envoy."
CERTIFICATES = "/etc/certs"


def typed(name, kind, **fields):
    return {"name": name, "typed_config": {"@type": TYPE + kind, **fields}}


def listener_filter(name, kind):
    return typed("envoy.filters.listener." + name,
                 f"extensions.filters.listener.{name}.v3.{kind}")


def http_manager(prefix, cluster):
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}
    return typed(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=prefix, codec_type="AUTO",
        route_config={"name": prefix,
                      "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[typed("envoy.filters.http.router",
                            "extensions.filters.http.router.v3.Router")])


def tls(kind, **fields):
    name = {"san_type": "URI", "matcher": {"prefix": "spiffe://cluster.local/"}}
    common = {
        "alpn_protocols": ["http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3",
                       "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [{"certificate_chain": {"filename": CERTIFICATES + "/cert.pem"},
                              "private_key": {"filename": CERTIFICATES + "/key.pem"}}],
        "validation_context": {"trusted_ca": {"filename": CERTIFICATES + "/ca.pem"},
                               "match_typed_subject_alt_names": [name]},
    }
    return typed("envoy.transport_sockets.tls", "extensions.transport_sockets.tls.v3." + kind,
                 common_tls_context=common, **fields)


def listener(name, port, chains):
    return {"name": name,
            "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},
            "listener_filters": [listener_filter("original_dst", "OriginalDst"),
                                 listener_filter("tls_inspector", "TlsInspector")],
            "listener_filters_timeout": "0.5s", "continue_on_listener_filters_timeout": True,
            "filter_chains": chains}


def cluster(name, **fields):
    return {"name": name, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "5s", **fields}


INBOUND = [
    {"filter_chain_match": {"transport_protocol": "tls"}, "filters": [http_manager("inbound", "program")],
     "transport_socket": tls("DownstreamTlsContext", require_client_certificate=True)},
    {"filters": [http_manager("inbound_plain", "program")]},
]
print(json.dumps({
    "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 15000}}},
    "static_resources": {
        "listeners": [
            listener("outbound", 15001, [{"filters": [http_manager("outbound", "mesh")]}]),
            listener("inbound", 15006, INBOUND),
        ],
        "clusters": [
            cluster("mesh", transport_socket=tls("UpstreamTlsContext", sni="mesh.local")),
            cluster("program", upstream_bind_config={
                "source_address": {"address": "127.0.0.6", "port_value": 0}}),
        ],
    },
}, indent=1))
