# SPDX-License-Identifier: Apache-2.0
#
# netstor_admin_proto, one library of what protoc makes of server/control/admin.proto, for netstord and the
# tool. Where gRPC is missing there is no such target, and NETSTOR_WHY_NOT_admin says why.

include_guard(GLOBAL)

option(NETSTOR_ADMIN "The admin service and its verbs (needs gRPC and protobuf)" ON)
if(NOT NETSTOR_ADMIN)
  set(NETSTOR_WHY_NOT_admin "NETSTOR_ADMIN is OFF")
  return()
endif()
netstor_find_dep(grpc)
netstor_find_dep(protobuf)
find_program(NETSTOR_PROTOC protoc)
find_program(NETSTOR_GRPC_PLUGIN grpc_cpp_plugin)
if(NOT TARGET netstor_dep::grpc)
  set(NETSTOR_WHY_NOT_admin "${NETSTOR_WHY_NOT_grpc}")
elseif(NOT TARGET netstor_dep::protobuf)
  set(NETSTOR_WHY_NOT_admin "${NETSTOR_WHY_NOT_protobuf}")
elseif(NOT NETSTOR_PROTOC OR NOT NETSTOR_GRPC_PLUGIN)
  set(NETSTOR_WHY_NOT_admin "protoc or grpc_cpp_plugin was not found (Debian: protobuf-compiler-grpc)")
else()
  set(_folder ${PROJECT_BINARY_DIR}/generated)
  set(_proto server/control/admin.proto)
  set(_made)
  foreach(_suffix pb.cc pb.h grpc.pb.cc grpc.pb.h)
    list(APPEND _made ${_folder}/server/control/admin.${_suffix})
  endforeach()
  file(MAKE_DIRECTORY ${_folder})
  add_custom_command(OUTPUT ${_made}
    COMMAND ${NETSTOR_PROTOC} -I ${PROJECT_SOURCE_DIR} --cpp_out=${_folder} --grpc_out=${_folder}
      --plugin=protoc-gen-grpc=${NETSTOR_GRPC_PLUGIN} ${PROJECT_SOURCE_DIR}/${_proto}
    DEPENDS ${PROJECT_SOURCE_DIR}/${_proto} VERBATIM)
  # Not our style, so not our warnings; but our sanitizers.
  add_library(netstor_admin_proto STATIC ${_made})
  target_include_directories(netstor_admin_proto SYSTEM PUBLIC ${_folder})
  target_link_libraries(netstor_admin_proto PUBLIC netstor_dep::grpc netstor_dep::protobuf)
  if(NETSTOR_SANITIZE)
    target_compile_options(netstor_admin_proto PRIVATE -fsanitize=${NETSTOR_SANITIZE} -O0)
  endif()
  install(FILES ${PROJECT_SOURCE_DIR}/${_proto} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/netstor
    COMPONENT library)
endif()
