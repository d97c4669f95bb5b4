# SPDX-License-Identifier: Apache-2.0
"""A real SkyWalking server (OAP) with its store in memory, asked by GraphQL as its own pages ask."""
import base64
import datetime
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request

from world import free_port

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("NPT_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "npt")
MAIN = "org.apache.skywalking.oap.server.starter.OAPServerStartUp"

# What its rules make of Rover's meters: {name: (meter, what is done to it)}; {} is "client" or "server".
PER_MINUTE, MEAN, QUANTILES = ".downsampling(SUM_PER_MIN)", "", \
    ".histogram().histogram_percentile([50,70,90,99]).downsampling(SUM)"
RULES = {
    "{}_write_cpm": ("{}_write_counts_counter", PER_MINUTE),
    "{}_write_total_bytes": ("{}_write_bytes_counter", PER_MINUTE),
    "{}_write_avg_exe_time": ("{}_write_exe_time_counter", MEAN),
    "{}_read_cpm": ("{}_read_counts_counter", PER_MINUTE),
    "{}_read_total_bytes": ("{}_read_bytes_counter", PER_MINUTE),
    "{}_read_avg_exe_time": ("{}_read_exe_time_counter", MEAN),
    "{}_write_avg_rtt_time": ("{}_write_rtt_exe_time_counter", MEAN),
    "{}_connect_cpm": ("{}_connect_counts_counter", PER_MINUTE),
    "{}_connect_exe_time": ("{}_connect_exe_time_counter", MEAN),
    "{}_close_cpm": ("{}_close_counts_counter", PER_MINUTE),
    "{}_close_avg_exe_time": ("{}_close_exe_time_counter", MEAN),
    "{}_retransmit_cpm": ("{}_retransmit_counts_counter", PER_MINUTE),
    "{}_drop_cpm": ("{}_drop_counts_counter", PER_MINUTE),
    "{}_write_rtt_time_percentile": ("{}_write_rtt_histogram", QUANTILES),
    "{}_write_exe_time_percentile": ("{}_write_exe_time_histogram", QUANTILES),
    "{}_read_exe_time_percentile": ("{}_read_exe_time_histogram", QUANTILES),
}
ENDS = "['service', 'instance', 'side', 'client_process_id', 'server_process_id', 'component'{}]"
# The ends of a line, from Rover's labels: a process that is known, else one that stands for what is not.
NAME_ENDS = """forEach(['client', 'server'], { end, tags ->
  if (tags[end + '_process_id'] == null) {
    tags[end + '_process_id'] = tags[end + '_local'] == 'true' ?
      ProcessRegistry.generateVirtualLocalProcess(tags.service, tags.instance) :
      ProcessRegistry.generateVirtualRemoteProcess(tags.service, tags.instance, tags[end + '_address'])
  }
}).forEach(['component'], { key, tags ->
  boolean http = tags['protocol'] == 'http'
  tags[key] = tags['is_ssl'] == 'true' ? (http ? '129' : '130') : (http ? '49' : '110')
})"""


def rules():
    made = []
    for side in ("client", "server"):
        for name, (meter, then) in RULES.items():
            ends = ENDS.format(", 'le'" if then == QUANTILES else "")
            made.append({"name": name.format(side),
                         "exp": f"rover_net_p_{meter.format(side)}.sum({ends}){then}"})
    return {"expSuffix": "processRelation('side', ['service'], ['instance'], 'client_process_id', "
                         "'server_process_id', 'component')",
            "expPrefix": NAME_ENDS, "metricPrefix": "process_relation", "metricsRules": made}


def service_id(service):
    return base64.b64encode(service.encode()).decode() + ".1"


def instance_id(service, instance):
    return service_id(service) + "_" + base64.b64encode(instance.encode()).decode()


class Kubernetes:
    """The API server that its rules ask for pods and Services by address: {address: (namespace, name)}."""

    def __init__(self, pods):
        self.asked = []
        items = [{"metadata": {"namespace": namespace, "name": name, "uid": name},
                  "status": {"podIP": address, "podIPs": [{"ip": address}]}, "spec": {}}
                 for address, (namespace, name) in pods.items()]
        kubernetes = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                kubernetes.asked.append(self.path)
                url = urllib.parse.urlparse(self.path)
                kind = {"pods": "Pod", "services": "Service"}.get(url.path.rsplit("/", 1)[-1], "")
                wanted = re.search(r"status.podIP=([^,&]*)", urllib.parse.unquote(url.query))
                found = [each for each in items if kind == "Pod" and
                         (not wanted or each["status"]["podIP"] == wanted[1])]
                body = json.dumps({"kind": f"{kind}List", "apiVersion": "v1", "items": found,
                                   "metadata": {"resourceVersion": "1"}}).encode()
                self.send_response(200 if kind else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Oap:
    def __init__(self, folder, pods):
        self.kubernetes = Kubernetes(pods)
        self.folder, self.grpc_port, self.rest_port = folder, free_port(), free_port()
        self.conf = folder / "conf"
        shutil.copytree(HERE / "oap", self.conf)
        for name in ("meter-analyzer-config", "openapi-definitions", "oal"):
            (self.conf / name).mkdir()
        for name in ("core", "disable", "ebpf"):
            (self.conf / "oal" / f"{name}.oal").touch()
        (self.conf / "meter-analyzer-config/network-profiling.yaml").write_text(json.dumps(rules()))
        environment = {**os.environ, "REST_PORT": str(self.rest_port), "GRPC_PORT": str(self.grpc_port),
                       "KUBERNETES_MASTER": self.kubernetes.url, "KUBERNETES_AUTH_TRYKUBECONFIG": "false"}
        with open(folder / "oap.log", "wb") as log:
            self.child = subprocess.Popen(
                ["java", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true", "-cp",
                 f"{self.conf}:{CACHE}/peers/oap/lib/*", MAIN], cwd=folder, env=environment, stdout=log,
                stderr=log)

    def wait(self, seconds=240):
        deadline = time.time() + seconds
        while time.time() < deadline:
            assert self.child.poll() is None, (self.folder / "oap.log").read_text()[-4000:]
            try:
                if self.ask("{version}"):
                    return self
            except OSError:
                time.sleep(0.5)
        raise AssertionError("OAP did not start:\n" + (self.folder / "oap.log").read_text()[-4000:])

    def stop(self):
        self.kubernetes.stop()
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(20)

    def ask(self, query, **variables):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.rest_port}/graphql", json.dumps(
                {"query": query, "variables": variables}).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            got = json.load(answer)
        assert "errors" not in got, got
        return got["data"]

    @staticmethod
    def duration():
        now = datetime.datetime.now()
        return {"start": (now - datetime.timedelta(minutes=5)).strftime("%Y-%m-%d %H%M"),
                "end": (now + datetime.timedelta(minutes=1)).strftime("%Y-%m-%d %H%M"), "step": "MINUTE"}

    def topology(self, service, instance):
        """({id: (name, is it real)}, [(source, target, detected at)]) of a pod's processes."""
        got = self.ask("""query($id: ID!, $duration: Duration!) {
            getProcessTopology(serviceInstanceId: $id, duration: $duration) {
              nodes { id name isReal serviceName serviceInstanceName }
              calls { source target detectPoints sourceComponents targetComponents } } }""",
                       id=instance_id(service, instance), duration=self.duration())["getProcessTopology"]
        names = {node["id"]: node["name"] for node in got["nodes"]}
        return ({node["name"]: node["isReal"] for node in got["nodes"]},
                {(names[call["source"]], names[call["target"]]): call for call in got["calls"]})

    def values(self, metric, service, instance, source, target):
        """Of the minutes that have one: {labels: [numbers]}."""
        entity = {"scope": "ProcessRelation", "serviceName": service, "normal": True,
                  "serviceInstanceName": instance, "processName": source, "destServiceName": service,
                  "destNormal": True, "destServiceInstanceName": instance, "destProcessName": target}
        got = self.ask("""query($metric: String!, $entity: Entity!, $duration: Duration!) {
            execExpression(expression: $metric, entity: $entity, duration: $duration) {
              error results { metric { labels { key value } } values { value } } } }""",
                       metric=f"process_relation_{metric}", entity=entity,
                       duration=self.duration())["execExpression"]
        assert not got["error"], got["error"]
        found = {}
        for result in got["results"]:
            labels = ",".join(label["value"] for label in result["metric"]["labels"])
            numbers = [float(each["value"]) for each in result["values"] if each["value"] is not None]
            if numbers:
                found[labels] = numbers
        return found
