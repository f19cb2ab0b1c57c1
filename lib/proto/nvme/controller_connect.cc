// SPDX-License-Identifier: Apache-2.0
//
// Whether a Connect is welcome, and where it is wrong if not (NVMe Base 2.0, "Connect command and
// response"). Checks go from the format to the names to the controller, so that a host hears of the first
// thing that it would have to mend.

#include "lib/proto/nvme/controller.h"
#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvme {

namespace {

ConnectVerdict wrong(const ConnectRefused& where) {
  return {.status = refused(FabricsStatus::connect_invalid_parameters), .where = where};
}

}  // namespace

ConnectVerdict check_connect(const Connect& connect, const ConnectData& data,
                             const ControllerLimits& limits) {
  if (connect.recfmt != 0)
    return {.status = refused(FabricsStatus::incompatible_format), .where = kRefusedRecfmt};
  if (connect.sqsize == 0 || connect.sqsize >= limits.queue_entries_max) return wrong(kRefusedSqsize);
  if (const auto where = check(data)) return wrong(*where);
  if (!valid_nqn(*nqn_of(data.hostnqn))) return wrong(kRefusedHostnqn);
  return {};
}

ConnectVerdict check_admin_connect(const Connect& connect, const ConnectData& data,
                                   const SubsystemView* subsystem) {
  const ControllerLimits defaults;
  const ConnectVerdict verdict =
      check_connect(connect, data, subsystem != nullptr ? subsystem->limits() : defaults);
  if (!verdict.ok()) return verdict;
  if (subsystem == nullptr) return wrong(kRefusedSubnqn);
  // Dynamic controller model: the host may not choose (FCATT bit 0 is clear).
  if (data.cntlid != kCntlidDynamic) return wrong(kRefusedCntlid);
  if (!subsystem->host_allowed(data.hostnqn.view())) {
    return {.status = refused(FabricsStatus::connect_invalid_host), .where = kRefusedHostnqn};
  }
  return {};
}

ConnectVerdict Controller::check_io_connect(const Connect& connect, const ConnectData& data) const {
  const ConnectVerdict verdict = check_connect(connect, data, subsystem_.limits());
  if (!verdict.ok()) return verdict;
  if (data.cntlid != identity_.cntlid) return wrong(kRefusedCntlid);
  if (data.subnqn.view() != subsystem_.nqn()) return wrong(kRefusedSubnqn);
  if (data.hostnqn.view() != identity_.host_nqn) return wrong(kRefusedHostnqn);
  if (data.hostid != identity_.host_id) return wrong(kRefusedHostid);
  if (!properties_.ready()) return {.status = refused(GenericStatus::command_sequence_error)};
  if (connect.qid == 0 || connect.qid > io_queues_) return wrong(kRefusedQid);
  return {};
}

}  // namespace netstor::nvme
