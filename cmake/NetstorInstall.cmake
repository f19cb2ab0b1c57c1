# SPDX-License-Identifier: Apache-2.0
#
# What `cmake --install` lays down: headers, library, the package for find_package(netstor), netstor.pc,
# the programs (netstor_program(... INSTALL)), LICENSE. Included last: it knows all third parties by then.
include(CMakePackageConfigHelpers)

# With a shared libnetstor the installed programs find it beside themselves.
if(BUILD_SHARED_LIBS)
  foreach(_program IN ITEMS netstord netstor_tool)
    if(TARGET ${_program})
      set_target_properties(${_program} PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    endif()
  endforeach()
endif()

# What has to be found again by whoever links the static library.
get_property(_third_party GLOBAL PROPERTY NETSTOR_THIRD_PARTY_netstor)
set(_netstor_deps "")
set(_pc_requires "")
set(_pc_libs "")
foreach(_dep IN LISTS _third_party)
  if(_dep MATCHES "^netstor_dep::(.+)$")
    list(APPEND _netstor_deps ${CMAKE_MATCH_1})
    get_property(_pc TARGET ${_dep} PROPERTY NETSTOR_PC)
    list(APPEND _pc_requires ${_pc})
    if(_dep STREQUAL "netstor_dep::threads")
      list(APPEND _pc_libs -pthread)
    endif()
  elseif(_dep MATCHES "^absl::(.+)$")
    list(APPEND _netstor_deps absl)
    list(APPEND _pc_requires absl_${CMAKE_MATCH_1})
  else()
    message(FATAL_ERROR "Third party ${_dep}: give it a name in cmake/NetstorDeps.cmake, so that it can be "
      "found again after installing")
  endif()
endforeach()
list(REMOVE_DUPLICATES _netstor_deps)
list(JOIN _netstor_deps " " NETSTOR_CONFIG_DEPS)
list(JOIN _pc_requires " " NETSTOR_PC_REQUIRES)
list(APPEND _pc_libs -lstdc++ -lm)
list(JOIN _pc_libs " " NETSTOR_PC_LIBS)
get_target_property(_type netstor TYPE)
if(_type STREQUAL "SHARED_LIBRARY")
  set(NETSTOR_CONFIG_DEPS "")
endif()

set(_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/netstor)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/netstorConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/netstorConfig.cmake INSTALL_DESTINATION ${_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/netstorConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)

# A prefix may be given at install time, so netstor.pc finds it from its own place.
file(RELATIVE_PATH NETSTOR_PC_PREFIX
  /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" NETSTOR_PC_PREFIX "${NETSTOR_PC_PREFIX}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/netstor.pc.in ${PROJECT_BINARY_DIR}/package/netstor.pc @ONLY)

install(TARGETS netstor EXPORT netstorTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(EXPORT netstorTargets NAMESPACE netstor:: DESTINATION ${_package_dir} COMPONENT library)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/netstor DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT library FILES_MATCHING PATTERN "*.h")
install(FILES
  ${PROJECT_BINARY_DIR}/package/netstorConfig.cmake
  ${PROJECT_BINARY_DIR}/package/netstorConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/NetstorDeps.cmake
  DESTINATION ${_package_dir} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/package/netstor.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
install(FILES ${PROJECT_SOURCE_DIR}/share/grafana/netstord.json
  DESTINATION ${CMAKE_INSTALL_DATADIR}/netstor/grafana COMPONENT programs)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT library)
