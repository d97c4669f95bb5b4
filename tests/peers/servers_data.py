# SPDX-License-Identifier: Apache-2.0
"""Databases and caches: PostgreSQL, MariaDB, Redis, memcached."""
import pathlib
import shutil

from servers import ENCRYPTED, Line, Scene

POSTGRESQL, POSTGRESQL_PREPARED, POSTGRESQL_TLS = 18201, 18202, 18203
MYSQL, MYSQL_TLS = 18211, 18212
REDIS2, REDIS3, REDIS_TLS = 18221, 18222, 18223
MEMCACHED_TEXT, MEMCACHED_BINARY = 18231, 18232


def postgresql_server(world, port):
    """A server of its own for each line: they are told apart by their ports."""
    newest = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    data = world.folder / f"data{port}"
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    key, certificate = world.certificate("postgres")
    world.run(newest / "initdb", "-D", data, "-A", "trust", "--no-sync", user="postgres")
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "",
                "fsync": "off", "ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key,
                "log_statement": "all", "autovacuum": "off"}
    world.spawn(f"postgresql{port}", newest / "postgres", "-D", data,
                *[part for name, value in settings.items() for part in ("-c", f"{name}={value}")],
                user="postgres")
    return data


def start_postgresql(world):
    ports = (POSTGRESQL, POSTGRESQL_PREPARED, POSTGRESQL_TLS)
    for port in ports:
        postgresql_server(world, port)
    world.listening(*ports)
    for port in ports:
        world.wait("PostgreSQL", lambda port=port: "ready to accept" in world.output(f"postgresql{port}"))


def start_mysql(world):
    key, certificate = world.certificate("mysql")
    setup = world.write("setup.sql", "create user guest@'127.0.0.1' identified by 'guest';\n")
    for port in (MYSQL, MYSQL_TLS):
        data = world.folder / f"data{port}"
        data.mkdir()
        shutil.chown(data, "mysql", "mysql")
        world.run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db", user="mysql")
        world.spawn(f"mysql{port}", "mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}",
                    "--bind-address=127.0.0.1", f"--socket={data}/socket", f"--init-file={setup}",
                    f"--ssl-cert={certificate}", f"--ssl-key={key}", "--skip-name-resolve",
                    "--innodb-flush-log-at-trx-commit=0", user="mysql")
    for port in (MYSQL, MYSQL_TLS):
        world.wait("MariaDB", lambda port=port: "ready for connections" in world.output(f"mysql{port}"))


def start_caches(world):
    key, certificate = world.certificate()
    common = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    world.spawn("redis2", "redis-server", "--port", REDIS2, *common)
    world.spawn("redis3", "redis-server", "--port", REDIS3, *common)
    world.spawn("redis-tls", "redis-server", "--port", 0, "--tls-port", REDIS_TLS, "--tls-cert-file",
                certificate, "--tls-key-file", key, "--tls-auth-clients", "no", *common)
    for port in (MEMCACHED_TEXT, MEMCACHED_BINARY):
        world.spawn(f"memcached{port}", "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", port, "-U", 0)
    world.listening(REDIS2, REDIS3, REDIS_TLS, MEMCACHED_TEXT, MEMCACHED_BINARY)


SCENES = [
    Scene("postgresql", start_postgresql, (
        Line(POSTGRESQL, "postgresql", client="postgresql", arguments=("disable",)),
        Line(POSTGRESQL_PREPARED, "postgresql", client="postgresql_prepared", arguments=("disable",)),
        # It asks for TLS in its own words before.
        Line(POSTGRESQL_TLS, "postgresql", "yes", ("postgresql",), ENCRYPTED, client="postgresql",
             arguments=("require",)),
    )),
    Scene("mysql", start_mysql, (
        Line(MYSQL, "mysql", client="mysql"),
        # The server greets before TLS begins.
        Line(MYSQL_TLS, "mysql", "yes", ("mysql",), ENCRYPTED, client="mysql", arguments=("tls",)),
    )),
    Scene("caches", start_caches, (
        Line(REDIS2, "redis", client="redis", arguments=("2",)),
        Line(REDIS3, "redis", client="redis", arguments=("3",)),
        Line(REDIS_TLS, "redis", "yes", (), ENCRYPTED, client="redis", arguments=("2", "tls")),
        Line(MEMCACHED_TEXT, "memcached", client="memcached"),
        Line(MEMCACHED_BINARY, "memcached", client="memcached_binary"),
    )),
]
