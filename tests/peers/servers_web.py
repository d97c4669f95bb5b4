# SPDX-License-Identifier: Apache-2.0
"""The web: nginx with HTTP/1, HTTP/2, WebSocket and FastCGI behind it."""
import pathlib

from servers import ENCRYPTED, PYTHON, SMALL, Line, Scene

MASKED = "its frames begin with two bytes that others begin with, too"

HTTP1, HTTP1_TLS, HTTP2, HTTP2_TLS = 18301, 18302, 18303, 18304
WEBSOCKET, WEBSOCKET_BEHIND = 18305, 18306
FASTCGI_FRONT, FASTCGI = 18307, 18308
HTTP_EITHER, HTTP_EITHER_TLS12 = 18309, 18310

NGINX = """daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
 log_format label '$server_port $server_protocol $status $request';
 access_log {folder}/access.log label;
 client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
 uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
 ssl_certificate {certificate}; ssl_certificate_key {key};
 keepalive_timeout 300s;
 upstream php {{ server 127.0.0.1:{fastcgi}; keepalive 4; }}
 {servers}
}}
"""
PAGE = "location / { return 200 'hello from nginx'; }"
UPGRADE = """location / { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1;
 proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }""" % WEBSOCKET_BEHIND
TO_PHP = """location / { fastcgi_pass php; fastcgi_keep_conn on; fastcgi_param REQUEST_METHOD GET;
 fastcgi_param SCRIPT_FILENAME %s/hello.php; fastcgi_param SCRIPT_NAME /hello.php; }"""
POOL = """[global]
error_log = /dev/stderr
daemonize = no
[www]
user = www-data
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 1
"""


def php_fpm():
    return next(path for path in pathlib.Path("/usr/sbin").glob("php-fpm*"))


def nginx(world, servers):
    """servers: {what listen says: what is in it}."""
    key, certificate = world.certificate()
    blocks = "\n ".join(f"server {{ listen 127.0.0.1:{listen}; {inside} }}"
                        for listen, inside in servers.items())
    config = world.write("nginx.conf", NGINX.format(folder=world.folder, key=key, certificate=certificate,
                                                    fastcgi=FASTCGI, servers=blocks))
    world.spawn("nginx", "nginx", "-c", config, "-e", "stderr")


def start_nginx(world):
    world.write("hello.php", "<?php echo 'hello from PHP';\n")
    pool = world.write("pool.conf", POOL.format(port=FASTCGI))
    world.spawn("php", php_fpm(), "-n", "-y", pool, "-F")
    world.spawn("websocket", PYTHON, SMALL, "websocket", WEBSOCKET_BEHIND)
    nginx(world, {HTTP1: PAGE, f"{HTTP1_TLS} ssl": PAGE, f"{HTTP2} http2": PAGE,
                  f"{HTTP2_TLS} ssl http2": PAGE, f"{HTTP_EITHER} ssl http2": PAGE,
                  f"{HTTP_EITHER_TLS12} ssl http2": PAGE + " ssl_protocols TLSv1.2;",
                  WEBSOCKET: UPGRADE, FASTCGI_FRONT: TO_PHP % world.folder})
    world.listening(HTTP1, HTTP1_TLS, HTTP2, HTTP2_TLS, HTTP_EITHER, HTTP_EITHER_TLS12, WEBSOCKET,
                    WEBSOCKET_BEHIND, FASTCGI_FRONT, FASTCGI)


ALL_HTTP2 = (HTTP2, HTTP2_TLS, HTTP_EITHER, HTTP_EITHER_TLS12)


def requests_of_nginx(world):
    """{port: requests that the server itself logged}; each with the version that was meant."""
    counts = {}
    log = world.folder / "access.log"
    for line in log.read_text().splitlines() if log.exists() else []:
        port, version, status, _ = line.split(" ", 3)
        if int(port) != WEBSOCKET:  # logged when it ends
            assert version == ("HTTP/2.0" if int(port) in ALL_HTTP2 else "HTTP/1.1"), line
            assert status == "200", line
            counts[int(port)] = counts.get(int(port), 0) + 1
    return counts


SCENES = [
    Scene("nginx", start_nginx, (
        Line(HTTP1, "http1", client="http"),
        Line(HTTP1_TLS, "http1", "yes", ("http1",), ENCRYPTED, client="http", arguments=("tls",)),
        Line(HTTP2, "http2", client="http", arguments=("2",)),
        Line(HTTP2_TLS, "http2", "yes", ("http2",), ENCRYPTED, client="http", arguments=("2", "tls")),
        # Which of the two was agreed on is said in clear in TLS 1.2 only.
        Line(HTTP_EITHER, "http2", "yes", ("http",), ENCRYPTED, client="http",
             arguments=("1", "2", "tls")),
        Line(HTTP_EITHER_TLS12, "http2", "yes", ("http2",), ENCRYPTED, client="http",
             arguments=("1", "2", "tls")),
        Line(WEBSOCKET, "websocket", client="websocket", middle=MASKED),
        Line(WEBSOCKET_BEHIND, "websocket", middle=MASKED),
        Line(FASTCGI_FRONT, "http1", client="http"),
        Line(FASTCGI, "fastcgi"),
    ), requests_of_nginx),
]
