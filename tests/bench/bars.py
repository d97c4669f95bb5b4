# SPDX-License-Identifier: Apache-2.0
"""The bars: what DESIGN asks of measuring, in one place. A number is met if it is at most (or at least)
the limit."""
import dataclasses

AT_MOST, AT_LEAST = "<=", ">="


@dataclasses.dataclass(frozen=True)
class Bar:
    row: str  # of DESIGN section 11
    limit: float
    unit: str
    side: str = AT_MOST
    resolution: float = 0  # what is less than that cannot be told from nothing by this way of measuring

    def missed_by(self, value):
        """How much is lacking; 0 or less is met."""
        lacking = value - self.limit if self.side == AT_MOST else self.limit - value
        return 0 if lacking < self.resolution else lacking

    def __str__(self):
        return f"{self.side} {self.limit:g}"


INSTRUCTIONS = "in instructions (QEMU -icount, fentry kernel)"
SLOWDOWN = "application slowdown"
MEMORY = "agent memory (RSS + maps)"
BARS = {
    "operation.Base": Bar("Base layer", 0, "ns"),
    "operation.Operations": Bar("Operations layer", 100, "ns"),
    "operation.Operations.timed": Bar("Operations layer", 250, "ns"),
    "operation.others": Bar("Operations layer", 20, "ns"),
    "getppid.trampolines": Bar("Operations layer", 0, "ns"),
    "getppid.slices": Bar("Operations layer", 20, "ns"),
    "walk": Bar("Base layer", 0.1, "%"),
    "instructions.Base": Bar(INSTRUCTIONS, 0, "instructions", resolution=3),
    "instructions.Operations": Bar(INSTRUCTIONS, 400, "instructions"),
    "instructions.getppid": Bar(INSTRUCTIONS, 0, "instructions", resolution=0.5),
    "rss.idle": Bar(MEMORY, 15, "MiB"),
    "memory.10000": Bar(MEMORY, 40, "MiB"),
    "rate.Base": Bar(SLOWDOWN, 0.99, "x", AT_LEAST),
    "rate.Operations": Bar(SLOWDOWN, 0.97, "x", AT_LEAST),
    "p99.Base": Bar(SLOWDOWN, 1.01, "x"),
    "p99.Operations": Bar(SLOWDOWN, 1.03, "x"),
    "tls.call": Bar("TLS layer", 2500, "ns"),
    "tls.rate": Bar("TLS layer", 0.90, "x", AT_LEAST),
    "protocol.rate": Bar("Protocol layer", 0.99, "x", AT_LEAST),
    "connects": Bar(SLOWDOWN, 0.95, "x", AT_LEAST),
    "store.rate": Bar("aggregator", 50000, "/s", AT_LEAST),
    "store.size": Bar("aggregator", 200, "bytes"),
    "store.rss": Bar("aggregator", 64, "MiB"),
    "store.query": Bar("aggregator", 100, "ms"),
    "first data": Bar("task created -> first data in status", 2, "s"),
}
