// SPDX-License-Identifier: Apache-2.0
//
// Names of opcodes, for logs and errors. The numbers themselves are in opcode.h.

#include "lib/wire/nvme/opcode.h"

namespace netstor::nvme {

std::string_view to_string(AdminOpcode opcode) {
  switch (opcode) {
    case AdminOpcode::delete_io_sq:
      return "delete io submission queue";
    case AdminOpcode::create_io_sq:
      return "create io submission queue";
    case AdminOpcode::get_log_page:
      return "get log page";
    case AdminOpcode::delete_io_cq:
      return "delete io completion queue";
    case AdminOpcode::create_io_cq:
      return "create io completion queue";
    case AdminOpcode::identify:
      return "identify";
    case AdminOpcode::abort:
      return "abort";
    case AdminOpcode::set_features:
      return "set features";
    case AdminOpcode::get_features:
      return "get features";
    case AdminOpcode::async_event_request:
      return "asynchronous event request";
    case AdminOpcode::namespace_management:
      return "namespace management";
    case AdminOpcode::firmware_commit:
      return "firmware commit";
    case AdminOpcode::firmware_image_download:
      return "firmware image download";
    case AdminOpcode::device_self_test:
      return "device self-test";
    case AdminOpcode::namespace_attachment:
      return "namespace attachment";
    case AdminOpcode::keep_alive:
      return "keep alive";
    case AdminOpcode::directive_send:
      return "directive send";
    case AdminOpcode::directive_receive:
      return "directive receive";
    case AdminOpcode::virtualization_management:
      return "virtualization management";
    case AdminOpcode::nvme_mi_send:
      return "nvme-mi send";
    case AdminOpcode::nvme_mi_receive:
      return "nvme-mi receive";
    case AdminOpcode::doorbell_buffer_config:
      return "doorbell buffer config";
    case AdminOpcode::fabrics:
      return "fabrics";
    case AdminOpcode::format_nvm:
      return "format nvm";
    case AdminOpcode::security_send:
      return "security send";
    case AdminOpcode::security_receive:
      return "security receive";
    case AdminOpcode::sanitize:
      return "sanitize";
    case AdminOpcode::get_lba_status:
      return "get lba status";
  }
  return "unknown";
}

std::string_view to_string(IoOpcode opcode) {
  switch (opcode) {
    case IoOpcode::flush:
      return "flush";
    case IoOpcode::write:
      return "write";
    case IoOpcode::read:
      return "read";
    case IoOpcode::write_uncorrectable:
      return "write uncorrectable";
    case IoOpcode::compare:
      return "compare";
    case IoOpcode::write_zeroes:
      return "write zeroes";
    case IoOpcode::dataset_management:
      return "dataset management";
    case IoOpcode::verify:
      return "verify";
    case IoOpcode::reservation_register:
      return "reservation register";
    case IoOpcode::reservation_report:
      return "reservation report";
    case IoOpcode::reservation_acquire:
      return "reservation acquire";
    case IoOpcode::reservation_release:
      return "reservation release";
    case IoOpcode::copy:
      return "copy";
    case IoOpcode::fabrics:
      return "fabrics";
  }
  return "unknown";
}

std::string_view to_string(FabricsType type) {
  switch (type) {
    case FabricsType::property_set:
      return "property set";
    case FabricsType::connect:
      return "connect";
    case FabricsType::property_get:
      return "property get";
    case FabricsType::authentication_send:
      return "authentication send";
    case FabricsType::authentication_receive:
      return "authentication receive";
    case FabricsType::disconnect:
      return "disconnect";
  }
  return "unknown";
}

}  // namespace netstor::nvme
