// SPDX-License-Identifier: Apache-2.0

#include "tools/netstor/admin_client.h"

#include "tools/netstor/failure.h"

#include <grpc/support/log.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace netstor::tool {
namespace {

/// Where netstord puts it when nothing else is said.
std::string default_socket() {
  if (::geteuid() == 0) return "/var/lib/netstord/admin.sock";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/')
    return std::string(state) + "/netstord/admin.sock";
  const char* const home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.local/state/netstord/admin.sock";
}

/// gRPC takes "unix:" and a path in which % begins an escape.
std::string escaped(const std::string& path) {
  std::string text;
  for (const char c : path)
    text += c == '%' ? "%25" : c == '?' ? "%3F" : c == '#' ? "%23" : std::string(1, c);
  return text;
}

Result<std::string> file_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error::system(errno, "read " + path);
  return text.str();
}

std::string name_of(const AdminPlace& place) {
  if (!place.server.empty()) return place.server;
  return place.socket.empty() ? default_socket() : place.socket;
}

Result<std::shared_ptr<grpc::Channel>> channel_to(const AdminPlace& place) {
  gpr_set_log_function([](gpr_log_func_args*) {});
  if (place.server.empty())
    return grpc::CreateChannel("unix:" + escaped(name_of(place)), grpc::InsecureChannelCredentials());
  if (place.certificate.empty() || place.key.empty() || place.authority.empty()) {
    return usage_error("--server needs --cert, --key and --ca",
                       "over TCP both sides prove who they are; on the server's machine --socket needs none");
  }
  grpc::SslCredentialsOptions tls;
  NETSTOR_TRY_RETURN(tls.pem_cert_chain, file_text(place.certificate));
  NETSTOR_TRY_RETURN(tls.pem_private_key, file_text(place.key));
  NETSTOR_TRY_RETURN(tls.pem_root_certs, file_text(place.authority));
  return grpc::CreateChannel(place.server, grpc::SslCredentials(tls));
}

/// The answer's words are the server's own and say what to do; a hint is added where the server is not heard.
Error error_of(const grpc::Status& status, const AdminPlace& place) {
  const std::string text = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return usage_error(text);
    case grpc::StatusCode::NOT_FOUND:
      return with_hint({ErrorKind::not_found, text},
                       "`netstor admin volume list` and its like show what is there");
    case grpc::StatusCode::ALREADY_EXISTS:
      return {ErrorKind::already_exists, text};
    case grpc::StatusCode::FAILED_PRECONDITION:
      return with_hint({ErrorKind::permission_denied, text}, "--force where the verb has it");
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return with_hint({ErrorKind::no_space, text}, "is there room on the disk of the state directory?");
    case grpc::StatusCode::UNIMPLEMENTED:
      return with_hint({ErrorKind::unsupported, text.empty() ? "the server does not know this call" : text},
                       "`netstor admin server` says which version serves");
    case grpc::StatusCode::CANCELLED:
      return {ErrorKind::cancelled, text};
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return with_hint(
          {ErrorKind::timed_out, "no answer from " + name_of(place) + " in time", Effect::unknown},
          "ask again: what is there already is not made twice; --timeout waits longer");
    case grpc::StatusCode::UNAVAILABLE: {
      const bool never = text.find("failed to connect") != std::string::npos;
      return with_hint(
          {ErrorKind::disconnected, "no admin service answers at " + name_of(place) + ": " + text,
           never ? Effect::none : Effect::unknown},
          place.server.empty() ? "is netstord running? its report names the socket: --socket PATH"
                               : "is netstord listening there, and are the certificates right?");
    }
    default:
      return {ErrorKind::device_error, text};
  }
}

/// Of a call that went on answering until it was cut off.
Error stream_error_of(const grpc::Status& status, const AdminPlace& place, bool heard) {
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED)
    return with_hint({ErrorKind::exhausted, status.error_message()},
                     "each `netstor admin stats` and `drain` that runs holds one");
  if (heard && status.error_code() == grpc::StatusCode::UNAVAILABLE)
    return with_hint({ErrorKind::disconnected,
                      "the connection to " + name_of(place) + " ended: " + status.error_message()},
                     "did the server end? `netstor admin server` says whether one answers");
  return error_of(status, place);
}

std::string path_of(const std::string& method) { return "/netstor.admin.v1.Admin/" + method; }

grpc::ByteBuffer bytes_of(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

bool parse(const grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  grpc::Slice slice;
  return bytes.DumpToSingleSlice(&slice).ok() &&
         message.ParseFromArray(slice.begin(), static_cast<int>(slice.size()));
}

Error not_understood() {
  return {ErrorKind::protocol, "the server's answer is not what this tool understands"};
}

}  // namespace

Result<void> stream_admin(const AdminPlace& place, const std::string& method,
                          const google::protobuf::Message& request, google::protobuf::Message& answer,
                          const std::function<bool()>& each) {
  NETSTOR_TRY_RETURN(const auto channel, channel_to(place));
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  // One step after the other, so that any tag is the step's.
  const auto step = [&queue] {
    void* tag = nullptr;
    bool good = false;
    return queue.Next(&tag, &good) && good;
  };
  const auto call = stub.PrepareCall(&context, path_of(method), &queue);
  call->StartCall(&context);
  bool going = step();
  if (going) {
    call->WriteLast(bytes_of(request), grpc::WriteOptions(), &context);
    going = step();
  }
  bool wanted = true, understood = true, heard = false;
  while (going && wanted && understood) {
    grpc::ByteBuffer bytes;
    call->Read(&bytes, &context);
    going = step();
    if (!going) break;
    heard = true;
    understood = parse(bytes, answer);
    wanted = understood && each();
  }
  if (going) context.TryCancel();
  grpc::Status status;
  call->Finish(&status, &context);
  step();
  if (!understood) return not_understood();
  if (!wanted || status.ok()) return ok();
  return stream_error_of(status, place, heard);
}

Result<void> call_admin(const AdminPlace& place, const std::string& method,
                        const google::protobuf::Message& request, google::protobuf::Message& answer) {
  NETSTOR_TRY_RETURN(const auto channel, channel_to(place));
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<std::int64_t>(place.timeout_s * 1000)));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, path_of(method), bytes_of(request), &queue);
  call->StartCall();
  grpc::ByteBuffer bytes;
  grpc::Status status;
  call->Finish(&bytes, &status, &context);
  void* tag = nullptr;
  bool good = false;
  queue.Next(&tag, &good);
  if (!status.ok()) return error_of(status, place);
  return parse(bytes, answer) ? ok() : Result<void>(not_understood());
}

}  // namespace netstor::tool
