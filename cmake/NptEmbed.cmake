# SPDX-License-Identifier: Apache-2.0
# npt_embed(TARGET NAME FILE) puts a file into a target, as
#	extern const unsigned char NAME[]; extern const size_t NAME_bytes;
# Run as a script (cmake -P), it writes the C file.
if(CMAKE_SCRIPT_MODE_FILE)
	file(READ ${FILE} bytes HEX)
	string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
	string(REGEX REPLACE "((0x..,){20})" "\\1\n" bytes "${bytes}")
	file(WRITE ${OUT} "#include <stddef.h>\n"
		"extern const unsigned char ${NAME}[];\nextern const size_t ${NAME}_bytes;\n"
		"const unsigned char ${NAME}[] = {\n${bytes}0};\n"
		"const size_t ${NAME}_bytes = sizeof(${NAME}) - 1;\n")
	return()
endif()

function(npt_embed target name file)
	set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
	add_custom_command(
		OUTPUT ${out}
		COMMAND ${CMAKE_COMMAND} -DFILE=${CMAKE_CURRENT_SOURCE_DIR}/${file} -DNAME=${name}
			-DOUT=${out} -P ${CMAKE_SOURCE_DIR}/cmake/NptEmbed.cmake
		DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/NptEmbed.cmake
		VERBATIM)
	target_sources(${target} PRIVATE ${out})
endfunction()
