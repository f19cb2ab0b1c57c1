// SPDX-License-Identifier: Apache-2.0
#pragma once
// The manager's values as messages, and its errors as gRPC's.

#include <grpcpp/support/status.h>

#include "server/control/admin.pb.h"
#include "server/control/manager.h"

namespace netstor::control {

namespace v1 = admin::v1;

grpc::Status status_of(const Error& error);

void fill(const VolumeView& view, v1::Volume& message);
void fill(const SubsystemView& view, v1::Subsystem& message);
void fill(const ListenerView& view, v1::Listener& message);
void fill(const HostView& view, v1::Host& message);
void fill(const store::Bucket& bucket, v1::Bucket& message);
void fill(const KeyView& view, v1::Key& message);
void fill(const nvmf::ConnectionFacts& facts, v1::Connection& message);

/// service_statistics.cc: how the server is doing.
std::uint32_t connections_of(const std::vector<nvmf::ShardFacts>& shards);
std::uint32_t connections_of(const std::vector<s3server::ShardFacts>& shards);
/// `before`: the load of the message before; that of the first one is empty.
void fill(const Manager::Load& load, const Manager::Load& before, v1::Statistics& message);

/// Errors: invalid_argument (a number that is no store).
Result<VolumeRequest> request_of(const v1::CreateVolumeRequest& message);
std::optional<store::AnonymousAccess> access_of(const v1::CreateBucketRequest& message);

}  // namespace netstor::control
