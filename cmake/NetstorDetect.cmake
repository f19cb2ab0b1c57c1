# SPDX-License-Identifier: Apache-2.0
#
# Looks for every third party once and says in one line each what is switched off for want of it.

foreach(_dep threads uring verbs rdmacm isal crypto ssl pugixml rocksdb spdlog cli11 json absl)
  netstor_find_dep(${_dep})
endforeach()
if(NETSTOR_BUILD_TESTS)
  netstor_find_dep(gtest)
endif()
if(NETSTOR_BUILD_BENCH)
  netstor_find_dep(benchmark)
endif()

foreach(_dep threads absl)
  if(NETSTOR_WHY_NOT_${_dep})
    message(FATAL_ERROR "netstor needs ${_dep}: ${NETSTOR_WHY_NOT_${_dep}}")
  endif()
endforeach()

set(NETSTOR_HAVE_URING OFF)
if(NETSTOR_URING STREQUAL "OFF")
  message(STATUS "netstor: no io_uring transport: switched off by NETSTOR_URING=OFF")
elseif(TARGET netstor_dep::uring)
  set(NETSTOR_HAVE_URING ON)
elseif(NETSTOR_URING STREQUAL "ON")
  message(FATAL_ERROR "NETSTOR_URING=ON, but ${NETSTOR_WHY_NOT_uring}")
else()
  message(STATUS "netstor: no io_uring transport: ${NETSTOR_WHY_NOT_uring}")
endif()

set(NETSTOR_HAVE_RDMA OFF)
if(NETSTOR_RDMA STREQUAL "OFF")
  message(STATUS "netstor: no RDMA transport: switched off by NETSTOR_RDMA=OFF")
elseif(TARGET netstor_dep::verbs AND TARGET netstor_dep::rdmacm)
  set(NETSTOR_HAVE_RDMA ON)
elseif(NETSTOR_RDMA STREQUAL "ON")
  message(FATAL_ERROR "NETSTOR_RDMA=ON, but ${NETSTOR_WHY_NOT_verbs} ${NETSTOR_WHY_NOT_rdmacm}")
else()
  message(STATUS "netstor: no RDMA transport: ${NETSTOR_WHY_NOT_verbs} ${NETSTOR_WHY_NOT_rdmacm}")
endif()

set(NETSTOR_HAVE_ISAL OFF)
if(TARGET netstor_dep::isal)
  set(NETSTOR_HAVE_ISAL ON)
else()
  message(STATUS "netstor: CRC32C without ISA-L: ${NETSTOR_WHY_NOT_isal}")
endif()

foreach(_dep crypto ssl pugixml rocksdb spdlog cli11 json)
  if(NETSTOR_WHY_NOT_${_dep})
    message(STATUS "netstor: what needs netstor_dep::${_dep} is left out: ${NETSTOR_WHY_NOT_${_dep}}")
  endif()
endforeach()

# Both are defined in every source of this tree as 1 or 0, so that a misspelt name is a warning under #if.
target_compile_definitions(netstor_flags INTERFACE
  NETSTOR_HAVE_URING=$<BOOL:${NETSTOR_HAVE_URING}>
  NETSTOR_HAVE_RDMA=$<BOOL:${NETSTOR_HAVE_RDMA}>
  NETSTOR_HAVE_ISAL=$<BOOL:${NETSTOR_HAVE_ISAL}>)
target_compile_options(netstor_flags INTERFACE -Wundef)
