#include "node/control_service.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "fallow/v1/control.grpc.pb.h"
#include "node/control_messages.h"
#include "node/vm_rules.h"
#include "recording/file.h"

namespace fallow::node {
namespace {

using grpc::ServerContext;

constexpr int kBacklog = 16;
// Requests are names, paths and specs.
constexpr int kRequestBytesMax = 64 << 10;
constexpr std::chrono::milliseconds kRecordPeriod{20};
// Of a recording: what is larger is parted.
constexpr std::size_t kPartBytesMax = std::size_t{2} << 20;

grpc::StatusCode code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case ErrorCode::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case ErrorCode::kExists:
      return grpc::StatusCode::ALREADY_EXISTS;
    case ErrorCode::kUnreachable:
    case ErrorCode::kFailed:
      break;
  }
  return grpc::StatusCode::FAILED_PRECONDITION;
}

grpc::Status status_of(const Error& error) {
  return {code_of(error.code), error.text};
}

class ControlService final : public v1::Control::Service {
 public:
  explicit ControlService(Operations& node) : node_(node) {}

  grpc::Status Status(ServerContext* /*context*/, const v1::StatusRequest* /*request*/,
                      v1::StatusResponse* response) override {
    write(node_.status(), response->mutable_node());
    return grpc::Status::OK;
  }

  grpc::Status AddVm(ServerContext* /*context*/, const v1::AddVmRequest* request,
                     v1::AddVmResponse* response) override {
    const auto compression =
        parse_compression(request->compress().empty() ? "off" : request->compress());
    if (!compression) {
      return status_of(Error{ErrorCode::kInvalid, "compress: " + compression.error().text});
    }
    const Result<VmView> vm = node_.add_vm({.name = request->name(),
                                            .size_bytes = request->size_bytes(),
                                            .backing_path = request->backing_path(),
                                            .discard_backing = request->discard_backing(),
                                            .compression = *compression,
                                            .quota = read(request->quota())});
    if (!vm) {
      return status_of(vm.error());
    }
    write(*vm, response->mutable_vm());
    return grpc::Status::OK;
  }

  grpc::Status ListVms(ServerContext* /*context*/, const v1::ListVmsRequest* /*request*/,
                       v1::ListVmsResponse* response) override {
    const NodeSnapshot snapshot = node_.list_vms();
    write(snapshot.node, response->mutable_node());
    for (const VmView& vm : snapshot.vms) {
      write(vm, response->add_vms());
    }
    for (const ClientView& client : snapshot.clients) {
      write(client, response->add_clients());
    }
    return grpc::Status::OK;
  }

  grpc::Status ShowVm(ServerContext* /*context*/, const v1::ShowVmRequest* request,
                      v1::ShowVmResponse* response) override {
    const Result<VmView> vm = node_.show_vm(request->name());
    if (!vm) {
      return status_of(vm.error());
    }
    write(*vm, response->mutable_vm());
    return grpc::Status::OK;
  }

  grpc::Status RemoveVm(ServerContext* /*context*/, const v1::RemoveVmRequest* request,
                        v1::RemoveVmResponse* /*response*/) override {
    const auto removed = node_.remove_vm(
        request->name(), request->force() ? RemoveMode::kForce : RemoveMode::kIfIdle);
    return removed ? grpc::Status::OK : status_of(removed.error());
  }

  grpc::Status ResizeVm(ServerContext* /*context*/, const v1::ResizeVmRequest* request,
                        v1::ResizeVmResponse* response) override {
    const Result<VmView> vm = node_.resize_vm(request->name(), request->size_bytes());
    if (!vm) {
      return status_of(vm.error());
    }
    write(*vm, response->mutable_vm());
    return grpc::Status::OK;
  }

  grpc::Status ExplainVm(ServerContext* /*context*/, const v1::ExplainVmRequest* request,
                         v1::ExplainVmResponse* response) override {
    const Result<Explanation> explanation = node_.explain_vm(request->name());
    if (!explanation) {
      return status_of(explanation.error());
    }
    write(*explanation, response);
    return grpc::Status::OK;
  }

  grpc::Status SetQuota(ServerContext* /*context*/, const v1::SetQuotaRequest* request,
                        v1::SetQuotaResponse* response) override {
    const Result<QuotaView> quota = node_.set_quota(request->name(), read(request->change()));
    if (!quota) {
      return status_of(quota.error());
    }
    write(*quota, response->mutable_quota());
    return grpc::Status::OK;
  }

  grpc::Status ClearQuota(ServerContext* /*context*/, const v1::ClearQuotaRequest* request,
                          v1::ClearQuotaResponse* /*response*/) override {
    const auto cleared = node_.clear_quota(request->name());
    return cleared ? grpc::Status::OK : status_of(cleared.error());
  }

  grpc::Status ListQuotas(ServerContext* /*context*/, const v1::ListQuotasRequest* /*request*/,
                          v1::ListQuotasResponse* response) override {
    for (const QuotaView& quota : node_.list_quotas()) {
      write(quota, response->add_quotas());
    }
    return grpc::Status::OK;
  }

  grpc::Status Record(ServerContext* context, const v1::RecordRequest* /*request*/,
                      grpc::ServerWriter<v1::RecordResponse>* writer) override {
    const auto source = node_.record();
    if (!source) {
      return status_of(source.error());
    }
    bool taken = send({.blocks = recording::beginning_of((*source)->node())}, *writer);
    while (taken && !stopping_ && !context->IsCancelled()) {
      std::this_thread::sleep_for(kRecordPeriod);
      taken = send((*source)->take(), *writer);
    }
    return grpc::Status::OK;
  }

  // Calls that go on by themselves end soon.
  void stop() { stopping_ = true; }

  grpc::Status ShowPolicy(ServerContext* /*context*/, const v1::ShowPolicyRequest* /*request*/,
                          v1::ShowPolicyResponse* response) override {
    const CurrentPolicy current = node_.show_policy();
    response->set_spec(current.spec);
    write(current.policy, response->mutable_policy());
    return grpc::Status::OK;
  }

  grpc::Status ListPolicies(ServerContext* /*context*/, const v1::ListPoliciesRequest* /*request*/,
                            v1::ListPoliciesResponse* response) override {
    for (const PolicyView& policy : node_.list_policies()) {
      write(policy, response->add_policies());
    }
    return grpc::Status::OK;
  }

  grpc::Status SetPolicy(ServerContext* /*context*/, const v1::SetPolicyRequest* request,
                         v1::SetPolicyResponse* response) override {
    const Result<PolicySwitch> done = node_.set_policy(request->spec());
    if (!done) {
      return status_of(done.error());
    }
    response->set_spec(done->spec);
    response->set_previous(done->previous);
    return grpc::Status::OK;
  }

 private:
  // False: nobody listens any more.
  static bool send(const RecordedPart& part, grpc::ServerWriter<v1::RecordResponse>& writer) {
    v1::RecordResponse response;
    response.set_missing(part.missing);
    std::size_t at = 0;
    do {
      response.set_blocks(part.blocks.substr(at, kPartBytesMax));
      at += response.blocks().size();
      response.set_more(at < part.blocks.size());
      response.set_operations(response.more() ? 0 : part.operations);
      response.set_notes(response.more() ? 0 : part.notes);
      if (!writer.Write(response)) {
        return false;
      }
    } while (response.more());
    return true;
  }

  Operations& node_;
  std::atomic<bool> stopping_{false};
};

// Holds `<socket>.lock`; the kernel lets go of it when the process ends, however it ends. The file
// stays: removing it would let two daemons lock two files of one name.
Result<UniqueFd> lock_socket(const std::string& socket_path) {
  const std::string path = socket_path + ".lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return failed_errno("cannot open lock file '" + path + "'", errno);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK
               ? failed("control socket '" + socket_path +
                        "' belongs to a daemon that is running: stop it or choose another path")
               : failed_errno("cannot lock '" + path + "'", errno);
  }
  return fd;
}

// The file mode keeps others out; this holds even if someone loosens it.
bool may_control(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

}  // namespace

struct ControlServer::Impl {
  Impl(EventLoop& the_loop, Operations& operations) : loop(the_loop), service(operations) {}

  void accept_one() {
    UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      return;
    }
    if (!may_control(fd.get())) {
      log_warning("control_refused", {{"socket", socket_path}});
      return;
    }
    grpc::AddInsecureChannelFromFd(server.get(), fd.release());
  }

  EventLoop& loop;
  ControlService service;
  std::string socket_path;
  UniqueFd lock;
  UniqueFd listener;
  std::unique_ptr<grpc::Server> server;
};

Result<std::unique_ptr<ControlServer>> ControlServer::create(const std::string& socket_path,
                                                             EventLoop& loop,
                                                             Operations& operations) {
  auto impl = std::make_unique<Impl>(loop, operations);
  impl->socket_path = socket_path;
  Result<UniqueFd> lock = lock_socket(socket_path);
  if (!lock) {
    return lock.error();
  }
  impl->lock = *std::move(lock);
  Result<UniqueFd> listener = listen_unix(socket_path, kBacklog);
  if (!listener) {
    return listener.error();
  }
  impl->listener = *std::move(listener);

  grpc::ServerBuilder builder;
  builder.RegisterService(&impl->service);
  builder.SetMaxReceiveMessageSize(kRequestBytesMax);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) {
    ::unlink(socket_path.c_str());
    return failed("cannot start the control service");
  }
  FALLOW_TRY(loop.watch(impl->listener.get(), [raw = impl.get()] { raw->accept_one(); }));
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() {
  impl_->loop.unwatch(impl_->listener.get());
  ::unlink(impl_->socket_path.c_str());
  impl_->service.stop();
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

}  // namespace fallow::node
