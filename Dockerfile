# SPDX-License-Identifier: Apache-2.0
# One build, small final images: --target npt-controller | npt-agent | npt-aggregator.
# A final image holds its program, the libraries that it loads, and nothing else: no shell.

FROM docker.io/library/debian:bookworm-slim AS build
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    cmake ninja-build gcc libc6-dev clang llvm pkg-config bpftool libbpf-dev libelf-dev zlib1g-dev \
    libcurl4-openssl-dev libwebsockets-dev libssl-dev libjansson-dev \
    libprotobuf-c-dev protobuf-c-compiler libsqlite3-dev >/dev/null
COPY . /src
WORKDIR /src
RUN cmake --preset release -DNPT_TESTS=OFF >/dev/null && cmake --build build/release
# A root file system per program: the binary, stripped, and what ldd says that it needs.
RUN set -eu; for program in controller agent aggregator; do \
        binary=build/release/$program/npt-$program; root=/root-$program; mkdir -p "$root"; \
        [ -e "$binary" ] || continue; \
        install -D -s -m 755 "$binary" "$root/usr/bin/npt-$program"; \
        for library in $(ldd "$binary" | grep -oE '/[^ )]+'); do \
            install -D -m 755 "$(readlink -f "$library")" "$root$library"; \
        done; \
        mkdir -p "$root/tmp" "$root/etc" "$root/var"; chmod 1777 "$root/tmp"; \
        echo 'npt:x:65532:65532::/:' > "$root/etc/passwd"; \
    done

FROM scratch AS npt-controller
COPY --from=build /root-controller /
USER 65532:65532
ENTRYPOINT ["/usr/bin/npt-controller"]

FROM scratch AS npt-agent
COPY --from=build /root-agent /
USER 0:0
ENTRYPOINT ["/usr/bin/npt-agent"]

FROM scratch AS npt-aggregator
COPY --from=build /root-aggregator /
USER 65532:65532
ENTRYPOINT ["/usr/bin/npt-aggregator"]
