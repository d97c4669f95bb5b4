# SPDX-License-Identifier: Apache-2.0
# The front door. make help tells what there is.
.PHONY: help deps dev release test test-tidy test-unit test-bpf test-accuracy test-peers test-kernels mutants bench soak demo format clean

JOBS ?= $(shell nproc)

help:
	@echo "make deps      install what building and testing need (Debian, as root)"
	@echo "make release   build/release/agent/npt-agent and the other programs"
	@echo "make dev       the same with debug information, in build/dev"
	@echo "make test      every test that this machine can run; ends with N passed, N failed, N skipped"
	@echo "make test-tidy, test-unit, test-bpf, test-accuracy, test-peers, test-kernels   one stage of it"
	@echo "make demo      a real Kubernetes, the chart, pods that talk, a task and its result; all gone at the end"
	@echo "make mutants   break the code in known ways: each time a named test must turn red"
	@echo "make bench     what measuring costs, beside the floor, A/B interleaved"
	@echo "make soak      what takes longer: many seeds, fuzzing, the cluster again and again"
	@echo "make format    clang-format over all C files"

deps:
	@scripts/deps

dev release:
	cmake --preset $@ >/dev/null
	cmake --build build/$@ -j $(JOBS)

test: deps
	@tests/run

test-tidy test-unit test-bpf test-accuracy test-peers test-kernels:
	@tests/run $(@:test-%=%)

mutants: dev
	@tests/mutants/run

bench: release
	@scripts/deps bench
	@tests/bench/run
	@tests/bench/first_data
	@tests/bench/clickhouse

soak: deps
	@tests/soak/run

demo: deps
	@demo/run

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build
