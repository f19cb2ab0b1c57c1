// SPDX-License-Identifier: Apache-2.0

#include "server/control/service_messages.h"

#include "server/store/volume_record.h"

namespace netstor::control {

namespace {

v1::Store store_of(store::StoreKind kind) {
  switch (kind) {
    case store::StoreKind::memory:
      return v1::STORE_MEMORY;
    case store::StoreKind::null:
      return v1::STORE_NULL;
    case store::StoreKind::file:
      break;
  }
  return v1::STORE_FILE;
}

grpc::StatusCode code_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::invalid_argument:
    case ErrorKind::out_of_range:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorKind::not_found:
      return grpc::StatusCode::NOT_FOUND;
    case ErrorKind::already_exists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case ErrorKind::permission_denied:
      return error.origin() == Origin::system ? grpc::StatusCode::PERMISSION_DENIED
                                              : grpc::StatusCode::FAILED_PRECONDITION;
    case ErrorKind::unsupported:
      return grpc::StatusCode::UNIMPLEMENTED;
    case ErrorKind::no_space:
    case ErrorKind::exhausted:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case ErrorKind::cancelled:
      return grpc::StatusCode::CANCELLED;
    case ErrorKind::data_corrupt:
      return grpc::StatusCode::DATA_LOSS;
    default:
      return grpc::StatusCode::INTERNAL;
  }
}

}  // namespace

grpc::Status status_of(const Error& error) { return {code_of(error), error.text()}; }

void fill(const VolumeView& view, v1::Volume& message) {
  const store::VolumeIdentity& identity = view.record.identity;
  message.set_name(identity.name);
  message.set_nqn(identity.nqn);
  message.set_uuid(store::uuid_text(identity.uuid));
  message.set_serial(identity.serial);
  message.set_store(store_of(view.record.kind));
  message.set_size_bytes(view.record.size_bytes);
  message.set_block_bytes(view.record.block_bytes);
  message.set_used_bytes(view.used_bytes);
  for (const Attachment& each : view.attachments) {
    v1::Attachment& attachment = *message.add_attachments();
    attachment.set_subsystem(each.subsystem);
    attachment.set_nsid(each.nsid);
  }
}

void fill(const SubsystemView& view, v1::Subsystem& message) {
  message.set_nqn(view.nqn);
  message.set_serial(view.serial);
  for (const auto& [nsid, volume] : view.namespaces) {
    v1::Namespace& space = *message.add_namespaces();
    space.set_nsid(nsid);
    space.set_volume(volume);
  }
  message.set_any_host(view.any_host);
  for (const std::string& host : view.hosts) message.add_allowed_hosts(host);
  message.set_only_authenticated(view.only_authenticated);
  message.set_connections(static_cast<std::uint32_t>(view.connections));
}

void fill(const ListenerView& view, v1::Listener& message) {
  message.set_host(view.record.host);
  message.set_port(view.record.port);
  message.set_advertise(view.record.advertise);
  message.set_kept(view.kept);
  message.set_not_served(view.not_served);
}

void fill(const HostView& view, v1::Host& message) {
  message.set_nqn(view.nqn);
  message.set_has_key(view.has_key);
  message.set_has_controller_key(view.has_controller_key);
  message.set_kept(view.kept);
  message.set_until_ms(net::milliseconds_of(view.until));
  message.set_expired(net::passed(view.until));
}

void fill(const store::Bucket& bucket, v1::Bucket& message) {
  message.set_name(bucket.name);
  message.set_created_ms(bucket.created_ms);
  message.mutable_anonymous()->set_read(bucket.anonymous.read);
  message.mutable_anonymous()->set_write(bucket.anonymous.write);
  message.mutable_anonymous()->set_list(bucket.anonymous.list);
}

void fill(const KeyView& view, v1::Key& message) {
  message.set_id(view.id);
  message.set_name(view.name);
  message.set_rights(view.rights);
  message.set_enabled(view.enabled);
  message.set_unchanged(view.unchanged);
  message.set_kept(view.kept);
  message.set_until_ms(net::milliseconds_of(view.until));
  message.set_expired(net::passed(view.until));
}

void fill(const nvmf::ConnectionFacts& facts, v1::Connection& message) {
  message.set_id(connection_id(facts));
  message.set_peer(facts.peer);
  message.set_host(facts.host_nqn);
  message.set_subsystem(facts.subsystem_nqn);
  message.set_controller(facts.cntlid);
  message.set_queue(facts.qid);
  message.set_authenticated(facts.authenticated);
}

Result<VolumeRequest> request_of(const v1::CreateVolumeRequest& message) {
  VolumeRequest request{.spec = {.name = message.name(),
                                 .nqn = message.nqn(),
                                 .size_bytes = message.size_bytes(),
                                 .block_bytes = message.block_bytes() == 0 ? 4096 : message.block_bytes(),
                                 .own_subsystem = !message.detached()},
                        .overcommit = message.overcommit()};
  switch (message.store()) {
    case v1::STORE_UNSPECIFIED:
    case v1::STORE_FILE:
      return request;
    case v1::STORE_MEMORY:
      request.spec.kind = store::StoreKind::memory;
      return request;
    case v1::STORE_NULL:
      request.spec.kind = store::StoreKind::null;
      return request;
    default:
      return Error(ErrorKind::invalid_argument,
                   "store: " + std::to_string(message.store()) + " is none: expected file, memory or null");
  }
}

std::optional<store::AnonymousAccess> access_of(const v1::CreateBucketRequest& message) {
  if (!message.has_anonymous()) return std::nullopt;
  const v1::Anonymous& all = message.anonymous();
  return store::AnonymousAccess{.read = all.read(), .write = all.write(), .list = all.list()};
}

}  // namespace netstor::control
