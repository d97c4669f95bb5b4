# SPDX-License-Identifier: Apache-2.0
"""Proxies: haproxy with the PROXY protocol before its backends, and two Envoys as sidecars are, with
mTLS and HTTP/2 between them."""
import json
import subprocess

import servers_web
from servers import CACHE, ENCRYPTED, HERE, PEERS_GO, Line, Scene

HTTP, V1, V2, V2_TLS, V2_REDIS = 18401, 18402, 18403, 18404, 18405
HTTP_BEHIND, V1_BEHIND, V2_BEHIND, V2_TLS_BEHIND, V2_REDIS_BEHIND = 18411, 18412, 18413, 18414, 18415
REDIS = 18416
MESH_HTTP, MESH_HTTP_MTLS, MESH_PROGRAM = 18421, 18422, 18423
MESH_GRPC, MESH_GRPC_MTLS, MESH_GRPC_PROGRAM = 18431, 18432, 18433

HAPROXY = """global
 nbthread 2
defaults
 timeout connect 5s
 timeout client 300s
 timeout server 300s
 mode tcp
frontend http
 bind 127.0.0.1:{HTTP}
 mode http
 default_backend http
backend http
 mode http
 http-reuse always
 server nginx 127.0.0.1:{HTTP_BEHIND}
listen v1
 bind 127.0.0.1:{V1}
 server nginx 127.0.0.1:{V1_BEHIND} send-proxy
listen v2
 bind 127.0.0.1:{V2}
 server nginx 127.0.0.1:{V2_BEHIND} send-proxy-v2
listen v2_tls
 bind 127.0.0.1:{V2_TLS}
 server nginx 127.0.0.1:{V2_TLS_BEHIND} send-proxy-v2
listen v2_redis
 bind 127.0.0.1:{V2_REDIS}
 server itself 127.0.0.1:{V2_REDIS_BEHIND} send-proxy-v2
listen redis
 bind 127.0.0.1:{V2_REDIS_BEHIND} accept-proxy
 server redis 127.0.0.1:{REDIS}
"""


def start_haproxy(world):
    page = servers_web.PAGE
    servers_web.nginx(world, {HTTP_BEHIND: page, f"{V1_BEHIND} proxy_protocol": page,
                              f"{V2_BEHIND} proxy_protocol": page,
                              f"{V2_TLS_BEHIND} ssl http2 proxy_protocol": page})
    world.spawn("redis", "redis-server", "--port", REDIS, "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no")
    config = world.write("haproxy.conf", HAPROXY.format(**globals()))
    world.spawn("haproxy", "haproxy", "-db", "-f", config)
    world.listening(HTTP_BEHIND, V1_BEHIND, V2_BEHIND, V2_TLS_BEHIND, V2_REDIS_BEHIND, REDIS, HTTP, V1, V2,
                    V2_TLS, V2_REDIS)


TYPE = "type.googleapis.com/envoy."


def typed(name, kind, **fields):
    return {"name": name, "typed_config": {"@type": TYPE + kind, **fields}}


def manager(to):
    """HTTP of any version, on to a cluster."""
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": to}}]
    hosts = [{"name": "all", "domains": ["*"], "routes": routes}]
    return typed("envoy.filters.network.http_connection_manager",
                 "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                 stat_prefix=to, codec_type="AUTO", route_config={"name": to, "virtual_hosts": hosts},
                 http_filters=[typed("envoy.filters.http.router",
                                     "extensions.filters.http.router.v3.Router")])


def tls(world, name, kind, **fields):
    """TLS 1.3 with a certificate, for who shows one of the mesh's."""
    folder = world.folder
    common = {"alpn_protocols": ["h2"],
              "tls_params": {"tls_minimum_protocol_version": "TLSv1_3",
                             "tls_maximum_protocol_version": "TLSv1_3"},
              "tls_certificates": [{"certificate_chain": {"filename": f"{folder}/{name}.pem"},
                                    "private_key": {"filename": f"{folder}/{name}.key"}}],
              "validation_context": {"trusted_ca": {"filename": f"{folder}/ca.pem"}}}
    return typed("envoy.transport_sockets.tls", "extensions.transport_sockets.tls.v3." + kind,
                 common_tls_context=common, **fields)


def at(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def listener(port, to, socket=None):
    chain = {"filters": [manager(to)], **({"transport_socket": socket} if socket else {})}
    return {"name": f"at{port}", "address": at(port), "filter_chains": [chain]}


def cluster(name, port, version, socket=None):
    """version: of HTTP, a field of Envoy's protocol options."""
    options = {"@type": TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
               "explicit_http_config": {version: {}}}
    return {"name": name, "type": "STATIC", "connect_timeout": "5s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
            "load_assignment": {"cluster_name": name, "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": at(port)}}]}]},
            **({"transport_socket": socket} if socket else {})}


def envoy(world, name, listeners, clusters):
    config = {"static_resources": {"listeners": listeners, "clusters": clusters}}
    path = world.write(f"{name}.json", json.dumps(config, indent=1))
    world.spawn(name, CACHE / "envoy-1.40.0", "-c", path, "--concurrency", "1", "--disable-hot-restart",
                "-l", "warning")


def start_mesh(world):
    subprocess.run(["bash", HERE.parents[1] / "demo/certificates.sh", world.folder, "near", "far"],
                   check=True, capture_output=True, timeout=30)
    servers_web.nginx(world, {MESH_PROGRAM: servers_web.PAGE})
    world.spawn("grpc", PEERS_GO, "grpc-server", MESH_GRPC_PROGRAM)
    out = tls(world, "near", "UpstreamTlsContext", sni="far.mesh.local")
    back = tls(world, "far", "DownstreamTlsContext", require_client_certificate=True)
    envoy(world, "near", [listener(MESH_HTTP, "http"), listener(MESH_GRPC, "grpc")],
          [cluster("http", MESH_HTTP_MTLS, "http2_protocol_options", out),
           cluster("grpc", MESH_GRPC_MTLS, "http2_protocol_options", out)])
    envoy(world, "far", [listener(MESH_HTTP_MTLS, "http", back), listener(MESH_GRPC_MTLS, "grpc", back)],
          [cluster("http", MESH_PROGRAM, "http_protocol_options"),
           cluster("grpc", MESH_GRPC_PROGRAM, "http2_protocol_options")])
    world.listening(MESH_HTTP, MESH_HTTP_MTLS, MESH_PROGRAM, MESH_GRPC, MESH_GRPC_MTLS, MESH_GRPC_PROGRAM)


SCENES = [
    Scene("haproxy", start_haproxy, (
        Line(HTTP, "http1", client="http"),
        Line(HTTP_BEHIND, "http1"),
        Line(V1, "http1", client="http"),
        Line(V1_BEHIND, "http1"),
        Line(V2, "http1", client="http"),
        Line(V2_BEHIND, "http1"),
        Line(V2_TLS, "http2", "yes", ("http2",), ENCRYPTED, client="http", arguments=("2", "tls")),
        Line(V2_TLS_BEHIND, "http2", "yes", ("http2",), ENCRYPTED),
        Line(V2_REDIS, "redis", client="redis", arguments=("2",)),
        Line(V2_REDIS_BEHIND, "redis"),
        Line(REDIS, "redis"),
    )),
    Scene("mesh", start_mesh, (
        Line(MESH_HTTP, "http1", client="http"),
        Line(MESH_HTTP_MTLS, "http2", "yes", ("http2",), ENCRYPTED),
        Line(MESH_PROGRAM, "http1"),
        Line(MESH_GRPC, "grpc", client="grpc"),
        Line(MESH_GRPC_MTLS, "grpc", "yes", ("http2",), ENCRYPTED),
        Line(MESH_GRPC_PROGRAM, "grpc"),
    )),
]
