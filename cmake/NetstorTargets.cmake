# SPDX-License-Identifier: Apache-2.0
#
# The functions that the folders call. A folder's CMakeLists.txt is a few calls of these and no more.
#
#   netstor_library(NAME SOURCES a.cc ... [THIRD_PARTY target ...])
#       Sources that become part of libnetstor.
#   netstor_server_library(NAME SOURCES a.cc ... [THIRD_PARTY target ...])
#       Sources that become part of netstor_server, the static library behind netstord and its tests.
#   netstor_program(NAME SOURCES a.cc ... [LIBS target ...] [OUTPUT file] [INSTALL])
#       An executable that is linked with netstor.
#   netstor_test(NAME SOURCES a.cc ... [LIBS target ...] [LABELS label ...] [TIMEOUT seconds])
#       A GoogleTest executable, one ctest test. Its label is the folder's name unless LABELS says otherwise.
#   netstor_test_folder([LIBS target ...] [TIMEOUT seconds])
#       One netstor_test for each *_test.cc in this folder: target and ctest FOLDER.STEM, executable STEM.
#   netstor_fuzzer(NAME SOURCES a.cc ... CORPUS folder [LIBS target ...])
#       A libFuzzer target under the preset fuzz; elsewhere a test that replays the corpus.

include_guard(GLOBAL)

function(netstor_define_library)
  add_library(netstor ${PROJECT_SOURCE_DIR}/lib/version.cc)
  add_library(netstor::netstor ALIAS netstor)
  set_target_properties(netstor PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    EXPORT_NAME netstor)
  target_compile_features(netstor PUBLIC cxx_std_20)
  target_include_directories(netstor
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(netstor PRIVATE $<BUILD_INTERFACE:netstor_flags>)
  _netstor_use(netstor netstor_dep::threads)
endfunction()

# Links third parties to a library and remembers them in NETSTOR_THIRD_PARTY for the package files.
function(_netstor_use target)
  foreach(dep IN LISTS ARGN)
    if(NOT TARGET ${dep})
      message(FATAL_ERROR "Third party ${dep} was not found; ask first with if(TARGET ${dep})")
    endif()
    get_property(known GLOBAL PROPERTY NETSTOR_THIRD_PARTY_${target})
    if(NOT dep IN_LIST known)
      target_link_libraries(${target} PRIVATE ${dep})
      set_property(GLOBAL APPEND PROPERTY NETSTOR_THIRD_PARTY_${target} ${dep})
    endif()
  endforeach()
endfunction()

# Leaves in `variable` those of the sources that exist and warns of the others; looks again when one appears.
function(_netstor_present variable)
  set(present)
  foreach(source IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
    get_source_file_property(generated ${source} GENERATED)
    file(GLOB found CONFIGURE_DEPENDS ${source})
    if(found OR generated)
      list(APPEND present ${source})
    else()
      file(RELATIVE_PATH shown ${PROJECT_SOURCE_DIR} ${source})
      message(WARNING "netstor: ${shown} is listed but is not there; the build goes on without it")
    endif()
  endforeach()
  set(${variable} ${present} PARENT_SCOPE)
endfunction()

# One header for `target`, compiled once for all of its kind (NETSTOR_PRECOMPILE): those that are compiled
# with the same options. LIBS bring the options that the headers want.
function(_netstor_precompile target kind)
  if(NOT NETSTOR_PRECOMPILE)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 2 arg "POSITION_INDEPENDENT" "" "LIBS;HEADERS;OPTIONS")
  set(first netstor_precompiled_${kind})
  if(NOT TARGET ${first})
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${first}.cc CONTENT "// Empty.\n")
    add_library(${first} OBJECT ${PROJECT_BINARY_DIR}/${first}.cc)
    if(NOT arg_POSITION_INDEPENDENT)
      set_target_properties(${first} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${first} PRIVATE -fPIE)
    endif()
    target_compile_options(${first} PRIVATE ${arg_OPTIONS})
    target_link_libraries(${first} PRIVATE netstor_flags ${arg_LIBS})
    target_precompile_headers(${first} PRIVATE
      <algorithm> <array> <atomic> <charconv> <chrono> <coroutine> <cstring> <filesystem> <fstream>
      <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view> <thread> <unordered_map>
      <utility> <variant> <vector> ${arg_HEADERS})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${first})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # for ccache
  endif()
endfunction()

function(_netstor_objects into name)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES;THIRD_PARTY")
  if(NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${name}: expected SOURCES and optionally THIRD_PARTY, got: ${ARGN}")
  endif()
  _netstor_present(arg_SOURCES ${arg_SOURCES})
  if(NOT arg_SOURCES)
    return()
  endif()
  set(objects ${name}_objects)
  add_library(${objects} OBJECT ${arg_SOURCES})
  target_include_directories(${objects} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(${objects} PRIVATE netstor_flags ${arg_THIRD_PARTY})
  _netstor_precompile(${objects} objects POSITION_INDEPENDENT)
  target_sources(${into} PRIVATE $<TARGET_OBJECTS:${objects}>)
  _netstor_use(${into} ${arg_THIRD_PARTY})
endfunction()

function(netstor_library name)
  _netstor_objects(netstor ${name} ${ARGN})
endfunction()

function(netstor_server_library name)
  if(NOT TARGET netstor_server)
    # On its first call; a server that is all headers yet has one empty source.
    add_library(netstor_server STATIC ${PROJECT_BINARY_DIR}/netstor_server.cc)
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/netstor_server.cc CONTENT "// Empty.\n")
    set_source_files_properties(${PROJECT_BINARY_DIR}/netstor_server.cc PROPERTIES GENERATED TRUE)
    target_include_directories(netstor_server PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(netstor_server PUBLIC netstor PRIVATE netstor_flags)
  endif()
  _netstor_objects(netstor_server ${name} ${ARGN})
endfunction()

function(_netstor_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE netstor_flags ${arg_LIBS} netstor)
endfunction()

function(netstor_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INSTALL" "OUTPUT" "SOURCES;LIBS")
  if(NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "netstor_program(${name}): unexpected or missing arguments: ${ARGN}")
  endif()
  _netstor_present(arg_SOURCES ${arg_SOURCES})
  if(NOT arg_SOURCES)
    return()
  endif()
  _netstor_executable(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS})
  if(arg_OUTPUT)
    set_target_properties(${name} PROPERTIES OUTPUT_NAME ${arg_OUTPUT})
  endif()
  if(arg_INSTALL)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
  endif()
endfunction()

# What a test may want to know about this build; the two programs are known when they are built.
function(_netstor_test_facts name)
  target_compile_definitions(${name} PRIVATE NETSTOR_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  if(TARGET netstord)
    target_compile_definitions(${name} PRIVATE NETSTOR_NETSTORD_PATH="$<TARGET_FILE:netstord>")
    add_dependencies(${name} netstord)
  endif()
  if(TARGET netstor_tool)
    target_compile_definitions(${name} PRIVATE NETSTOR_TOOL_PATH="$<TARGET_FILE:netstor_tool>")
    add_dependencies(${name} netstor_tool)
  endif()
endfunction()

# Skips must be seen: a test says "SKIP: reason" and exits 77, or is a GoogleTest that skips;
# tools/dev/summary.py reads both.
function(_netstor_test_properties name labels timeout)
  set_tests_properties(${name} PROPERTIES
    LABELS "${labels}"
    TIMEOUT ${timeout}
    SKIP_RETURN_CODE 77
    ENVIRONMENT "GTEST_OUTPUT=xml:${PROJECT_BINARY_DIR}/test-results/${name}.xml;GTEST_COLOR=no")
endfunction()

function(netstor_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LIBS;LABELS")
  if(NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "netstor_test(${name}): unexpected or missing arguments: ${ARGN}")
  endif()
  _netstor_present(arg_SOURCES ${arg_SOURCES})
  if(NOT arg_SOURCES)
    return()
  endif()
  if(NOT arg_LABELS)
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME arg_LABELS)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  # Tests reach for internals: they link what the library keeps private (matters when it is a shared one).
  get_property(third_party GLOBAL PROPERTY NETSTOR_THIRD_PARTY_netstor)
  _netstor_executable(${name} SOURCES ${arg_SOURCES}
    LIBS ${arg_LIBS} netstor_dep::gtest GTest::gmock_main ${third_party})
  _netstor_precompile(${name} tests LIBS netstor_dep::gtest HEADERS <gtest/gtest.h>)
  string(REGEX REPLACE "^.*\\." "" file ${name})
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${file})
  _netstor_test_facts(${name})
  add_test(NAME ${name} COMMAND ${name})
  _netstor_test_properties(${name} "${arg_LABELS}" ${arg_TIMEOUT})
endfunction()

function(netstor_test_folder)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TIMEOUT" "LIBS")
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  set(libs)
  foreach(lib IN LISTS arg_LIBS)
    if(TARGET ${lib})
      list(APPEND libs ${lib})
    endif()
  endforeach()
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM stem)
    netstor_test(${folder}.${stem} SOURCES ${source} LIBS ${libs} LABELS ${folder} TIMEOUT ${arg_TIMEOUT})
  endforeach()
endfunction()

function(netstor_fuzzer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;LIBS")
  if(NOT arg_SOURCES OR NOT arg_CORPUS OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "netstor_fuzzer(${name}): expected SOURCES and CORPUS, got: ${ARGN}")
  endif()
  cmake_path(ABSOLUTE_PATH arg_CORPUS BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  if(NETSTOR_BUILD_FUZZERS)
    _netstor_executable(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET netstor_fuzzers)
      add_custom_target(netstor_fuzzers)
    endif()
    add_dependencies(netstor_fuzzers ${name})
    # ./dev fuzz reads this list: one line a target, "NAME CORPUS".
    set_property(GLOBAL APPEND PROPERTY NETSTOR_FUZZERS "${name} ${arg_CORPUS}")
    return()
  endif()
  _netstor_executable(${name} LIBS ${arg_LIBS}
    SOURCES ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
  add_test(NAME fuzz.${name} COMMAND ${name} ${arg_CORPUS})
  _netstor_test_properties(fuzz.${name} fuzz 120)
endfunction()
