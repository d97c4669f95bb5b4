# SPDX-License-Identifier: Apache-2.0
"""Brokers and what coordinates them: Kafka, RabbitMQ, NATS, mosquitto, ZooKeeper."""
import os

from servers import BINARY, ENCRYPTED, JARS, PYTHON, Line, Scene

KAFKA, KAFKA_CONTROLLER = 18501, 18502
AMQP = 18511
NATS, NATS_TLS = 18521, 18522
MQTT311, MQTT5 = 18531, 18532
ZOOKEEPER = 18541

SEVERAL = "it has closed connections, too, and asks for metadata in the background"
HEARTBEAT = "the broker beats to its controller now and then on a connection as old as itself"

KAFKA_PROPERTIES = """process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
log.dirs={folder}/kafka
offsets.topic.replication.factor=1
auto.create.topics.enable=true
num.network.threads=1
num.io.threads=2
"""
RABBITMQ = """listeners.tcp.1 = 127.0.0.1:{port}
log.console = true
log.file = false
"""
MOSQUITTO = """allow_anonymous true
listener {mqtt311} 127.0.0.1
listener {mqtt5} 127.0.0.1
"""
NATS_CONFIG = """listen: 127.0.0.1:{port}
tls {{ cert_file: "{certificate}", key_file: "{key}" }}
"""


def java(name):
    return ("java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*", name)


def start_kafka(world):
    config = world.write("kafka.properties", KAFKA_PROPERTIES.format(
        port=KAFKA, controller=KAFKA_CONTROLLER, folder=world.folder))
    world.run(*java("kafka.tools.StorageTool"), "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", config)
    world.spawn("kafka", *java("kafka.Kafka"), config)
    world.listening(KAFKA, KAFKA_CONTROLLER)


def start_rabbitmq(world):
    config = world.write("rabbitmq.conf", RABBITMQ.format(port=AMQP))
    world.write("plugins", "[].\n")
    folder = str(world.folder)
    environment = dict(os.environ, HOME=folder, RABBITMQ_NODENAME="npt@localhost",
                       RABBITMQ_CONFIG_FILE=str(config),
                       RABBITMQ_MNESIA_BASE=folder, RABBITMQ_LOG_BASE=folder, RABBITMQ_LOGS="-",
                       RABBITMQ_ENABLED_PLUGINS_FILE=folder + "/plugins",
                       RABBITMQ_CONF_ENV_FILE="/dev/null", ERL_EPMD_ADDRESS="127.0.0.1",
                       RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none")
    world.spawn("rabbitmq", "/usr/lib/rabbitmq/bin/rabbitmq-server", env=environment)
    world.listening(AMQP)
    world.wait("RabbitMQ", lambda: "Server startup complete" in world.output("rabbitmq"))


def start_nats(world):
    key, certificate = world.certificate()
    config = world.write("nats.conf", NATS_CONFIG.format(port=NATS_TLS, key=key, certificate=certificate))
    server = PYTHON.replace("bin/python", "bin/nats-server")
    world.spawn("nats", server, "-a", "127.0.0.1", "-p", NATS)
    world.spawn("nats-tls", server, "-c", config)
    world.listening(NATS, NATS_TLS)


def start_mqtt(world):
    config = world.write("mosquitto.conf", MOSQUITTO.format(mqtt311=MQTT311, mqtt5=MQTT5))
    world.spawn("mosquitto", "mosquitto", "-c", config)
    world.listening(MQTT311, MQTT5)


def start_zookeeper(world):
    config = world.write("zoo.cfg", f"clientPort={ZOOKEEPER}\nclientPortAddress=127.0.0.1\n"
                         f"dataDir={world.folder}/zookeeper\nadmin.enableServer=false\n")
    world.spawn("zookeeper", *java("org.apache.zookeeper.server.ZooKeeperServerMain"), config)
    world.listening(ZOOKEEPER)


SCENES = [
    Scene("kafka", start_kafka, (
        Line(KAFKA, "kafka", client="kafka", loose=SEVERAL),
        Line(KAFKA_CONTROLLER, "kafka", middle=BINARY, idle=HEARTBEAT),
    )),
    Scene("rabbitmq", start_rabbitmq, (Line(AMQP, "amqp", client="amqp"),)),
    Scene("nats", start_nats, (
        Line(NATS, "nats", client="nats"),
        # The server introduces itself before TLS begins.
        Line(NATS_TLS, "nats", "yes", ("nats",), ENCRYPTED, client="nats", arguments=("tls",)),
    )),
    Scene("mqtt", start_mqtt, (
        Line(MQTT311, "mqtt", client="mqtt", arguments=("3.1.1",)),
        Line(MQTT5, "mqtt", client="mqtt", arguments=("5",)),
    )),
    Scene("zookeeper", start_zookeeper, (Line(ZOOKEEPER, "zookeeper", client="zookeeper"),)),
]
