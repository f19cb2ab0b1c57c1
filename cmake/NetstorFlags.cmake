# SPDX-License-Identifier: Apache-2.0
#
# What every compile of this tree gets: the language, the warnings, the sanitizers. All of it hangs on one
# interface target, netstor_flags, which is never exported: a user's build keeps its own flags.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
  endif()
  # -g1 keeps usable backtraces. NDEBUG silences the third parties' assert(); NETSTOR_ASSERT does not look at
  # it and stays on.
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
  set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
  find_program(NETSTOR_CCACHE ccache)
  if(NETSTOR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${NETSTOR_CCACHE})
    if(NETSTOR_PRECOMPILE)
      # By default it keeps nothing that uses a precompiled header.
      set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${NETSTOR_CCACHE})
    endif()
  endif()
endif()

add_library(netstor_flags INTERFACE)
target_compile_options(netstor_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wvla
  -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # hardware_destructive_interference_size is used for padding inside one build only, never in an ABI.
  target_compile_options(netstor_flags INTERFACE -Wno-interference-size)
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # Two that g++ has in neither -Wall nor -Wconversion: signs, and constants that only some #if branch uses.
  target_compile_options(netstor_flags INTERFACE -Wno-sign-conversion -Wno-unused-const-variable)
endif()
if(NETSTOR_WERROR)
  target_compile_options(netstor_flags INTERFACE -Werror)
endif()
if(NETSTOR_SANITIZE)
  target_compile_options(netstor_flags INTERFACE -fsanitize=${NETSTOR_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(netstor_flags INTERFACE -fsanitize=${NETSTOR_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NETSTOR_SANITIZE MATCHES "thread")
    # g++ 12 takes sums of strings for accesses out of bounds there; the other builds have these warnings.
    target_compile_options(netstor_flags INTERFACE
      -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict)
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    # clang 14 cannot assemble a coroutine with this check: "cannot represent a difference across sections".
    target_compile_options(netstor_flags INTERFACE -fno-sanitize=function)
  endif()
endif()
if(NETSTOR_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "NETSTOR_BUILD_FUZZERS needs clang; use the preset 'fuzz'")
  endif()
  target_compile_options(netstor_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
