# SPDX-License-Identifier: Apache-2.0
# npt_module(NAME SOURCES ... USES ...)   a static library npt_NAME from one folder
# npt_program(NAME SOURCES ... USES ...)  a program
# npt_test(PATH USES ...)                 tests/unit/<dir>/test_<module>.c, as ctest unit.<dir>.<module>
#
# There is one include root, the repository, so that each include names its folder; tests/tidy
# checks that includes only point down.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(NPT_WARNINGS
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual -Wwrite-strings
	-Wformat=2 -Wundef -Wvla -Walloca -Wpointer-arith -Wnull-dereference -Wdouble-promotion
	-Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wmissing-declarations
	-Wimplicit-fallthrough -Wswitch-enum)
option(NPT_WERROR "Warnings are errors (switch off when packaging)" ON)
if(NPT_WERROR)
	list(APPEND NPT_WARNINGS -Werror)
endif()
set(NPT_SANITIZE "" CACHE STRING "Sanitizers, e.g. address;undefined")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(npt_flags target)
	target_compile_options(${target} PRIVATE ${NPT_WARNINGS})
	target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
	target_compile_definitions(${target} PRIVATE _GNU_SOURCE NPT_VERSION="${PROJECT_VERSION}")
	if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
		target_compile_options(${target} PRIVATE -fstack-protector-strong)
		target_compile_definitions(${target} PRIVATE _FORTIFY_SOURCE=2)
	endif()
	foreach(sanitizer IN LISTS NPT_SANITIZE)
		target_compile_options(${target} PRIVATE -fsanitize=${sanitizer}
			-fno-sanitize-recover=all -fno-omit-frame-pointer)
		target_link_options(${target} PRIVATE -fsanitize=${sanitizer})
	endforeach()
endfunction()

# Third-party headers come in as SYSTEM, so that our warnings are only about our code.
function(npt_system_library target)
	foreach(package IN LISTS ARGN)
		string(MAKE_C_IDENTIFIER ${package} id)
		if(NOT TARGET PkgConfig::${id})
			pkg_check_modules(${id} REQUIRED IMPORTED_TARGET GLOBAL ${package})
		endif()
		target_link_libraries(${target} PUBLIC PkgConfig::${id})
	endforeach()
endfunction()

function(npt_module name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES;SYSTEM" ${ARGN})
	add_library(npt_${name} STATIC ${ARG_SOURCES})
	npt_flags(npt_${name})
	target_link_libraries(npt_${name} PUBLIC ${ARG_USES})
	npt_system_library(npt_${name} ${ARG_SYSTEM})
endfunction()

function(npt_program name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES;SYSTEM" ${ARGN})
	add_executable(${name} ${ARG_SOURCES})
	npt_flags(${name})
	target_link_libraries(${name} PRIVATE ${ARG_USES})
	npt_system_library(${name} ${ARG_SYSTEM})
endfunction()

function(npt_test path)
	cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
	get_filename_component(directory ${path} DIRECTORY)
	get_filename_component(module ${path} NAME)
	string(REPLACE "/" "." id ${path})
	string(REPLACE "/" "_" target test_${path})
	add_executable(${target} ${CMAKE_SOURCE_DIR}/tests/unit/${directory}/test_${module}.c)
	npt_flags(${target})
	target_link_libraries(${target} PRIVATE npt_test_support ${ARG_USES})
	add_test(NAME unit.${id} COMMAND ${target})
	set_tests_properties(unit.${id} PROPERTIES LABELS unit SKIP_RETURN_CODE 77 TIMEOUT 120)
endfunction()
