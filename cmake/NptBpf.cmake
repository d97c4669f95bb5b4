# SPDX-License-Identifier: Apache-2.0
# npt_bpf(NAME)  bpf/NAME.bpf.c -> NAME.bpf.o (stripped) -> bpf/NAME.skel.h, as target npt_bpf_NAME
#
# No vmlinux.h: bpf/kernel.h declares what we read, CO-RE finds it in the running kernel's BTF, so
# the build needs no kernel. The skeleton is generated, hence a SYSTEM include.

find_program(NPT_BPF_CLANG NAMES clang REQUIRED)
find_program(NPT_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
	set(NPT_BPF_ARCH arm64)
else()
	set(NPT_BPF_ARCH x86)
endif()

if(NPT_WERROR)
	set(NPT_BPF_WERROR -Werror)
endif()

function(npt_bpf name)
	set(out ${CMAKE_CURRENT_BINARY_DIR})
	add_custom_command(
		OUTPUT ${out}/${name}.raw.o
		COMMAND ${NPT_BPF_CLANG} -target bpf -mcpu=v3 -g -O2 -Wall -Wextra ${NPT_BPF_WERROR}
			-Wno-unused-parameter -D__TARGET_ARCH_${NPT_BPF_ARCH}
			-idirafter ${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
			-I${CMAKE_SOURCE_DIR} -MD -MF ${out}/${name}.d -MT ${out}/${name}.raw.o
			-c ${CMAKE_CURRENT_SOURCE_DIR}/${name}.bpf.c -o ${out}/${name}.raw.o
		DEPENDS ${name}.bpf.c
		DEPFILE ${out}/${name}.d
		VERBATIM)
	add_custom_command(
		OUTPUT ${out}/${name}.skel.h
		COMMAND ${NPT_BPFTOOL} gen object ${out}/${name}.bpf.o ${out}/${name}.raw.o
		COMMAND ${NPT_BPFTOOL} gen skeleton ${out}/${name}.bpf.o name npt_bpf_${name}
			> ${out}/${name}.skel.h
		DEPENDS ${out}/${name}.raw.o
		VERBATIM)
	add_custom_target(npt_bpf_${name}_skeleton DEPENDS ${out}/${name}.skel.h)
	add_library(npt_bpf_${name} INTERFACE)
	add_dependencies(npt_bpf_${name} npt_bpf_${name}_skeleton)
	target_include_directories(npt_bpf_${name} SYSTEM INTERFACE ${CMAKE_BINARY_DIR})
endfunction()
