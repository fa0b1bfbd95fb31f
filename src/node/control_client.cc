#include "node/control_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "fallow/v1/control.grpc.pb.h"
#include "node/control_messages.h"
#include "node/vm_rules.h"

namespace fallow::node {
namespace {

// What the daemon says of itself in an error is one line.
Error error_of(const grpc::Status& status, const std::string& socket_path) {
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return invalid(status.error_message());
    case grpc::StatusCode::NOT_FOUND:
      return {ErrorCode::kNotFound, status.error_message()};
    case grpc::StatusCode::ALREADY_EXISTS:
      return {ErrorCode::kExists, status.error_message()};
    case grpc::StatusCode::FAILED_PRECONDITION:
      return failed(status.error_message());
    case grpc::StatusCode::UNAVAILABLE:
      return {ErrorCode::kUnreachable, "no daemon answers on '" + socket_path +
                                           "': is fallowd running, and may you open its socket?"};
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return {ErrorCode::kUnreachable, "the daemon on '" + socket_path +
                                           "' does not answer in time; what was asked may have "
                                           "been done all the same"};
    default:
      return failed("the daemon on '" + socket_path + "' answered: " + status.error_message());
  }
}

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments arguments;
  // A proxy in the environment has no business here, and each client has a connection of its own.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  arguments.SetMaxReceiveMessageSize(16 << 20);
  return arguments;
}

}  // namespace

struct ControlClient::Impl {
  template <typename Request, typename Response>
  using Method = grpc::Status (v1::Control::Stub::*)(grpc::ClientContext*, const Request&,
                                                     Response*);

  template <typename Request, typename Response>
  fallow::Status call(Method<Request, Response> method, const Request& request,
                      Response* response) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(deadline_ms));
    const grpc::Status status = (stub.get()->*method)(&context, request, response);
    if (!status.ok()) {
      return error_of(status, socket_path);
    }
    return {};
  }

  std::string socket_path;
  std::uint32_t deadline_ms = 0;
  std::unique_ptr<v1::Control::Stub> stub;
};

ControlClient::ControlClient(const std::string& socket_path, std::uint32_t deadline_ms)
    : impl_(std::make_unique<Impl>()) {
  impl_->socket_path = socket_path;
  impl_->deadline_ms = deadline_ms;
  impl_->stub = v1::Control::NewStub(grpc::CreateCustomChannel(
      "unix:" + socket_path, grpc::InsecureChannelCredentials(), channel_arguments()));
}

ControlClient::~ControlClient() = default;

Result<NodeView> ControlClient::status() const {
  v1::StatusResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::Status, v1::StatusRequest(), &response));
  return read(response.node());
}

Result<VmView> ControlClient::add_vm(const VmRequest& vm) const {
  v1::AddVmRequest request;
  request.set_name(vm.name);
  request.set_size_bytes(vm.size_bytes);
  request.set_backing_path(vm.backing_path);
  request.set_discard_backing(vm.discard_backing);
  request.set_compress(compression_name(vm.compression));
  write(vm.quota, request.mutable_quota());
  v1::AddVmResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::AddVm, request, &response));
  return read(response.vm());
}

Result<NodeSnapshot> ControlClient::list_vms() const {
  v1::ListVmsResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::ListVms, v1::ListVmsRequest(), &response));
  NodeSnapshot snapshot{.node = read(response.node()), .vms = {}, .clients = {}};
  for (const v1::Vm& vm : response.vms()) {
    snapshot.vms.push_back(read(vm));
  }
  for (const v1::Client& client : response.clients()) {
    snapshot.clients.push_back(read(client));
  }
  return snapshot;
}

Result<VmView> ControlClient::show_vm(const std::string& name) const {
  v1::ShowVmRequest request;
  request.set_name(name);
  v1::ShowVmResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::ShowVm, request, &response));
  return read(response.vm());
}

fallow::Status ControlClient::remove_vm(const std::string& name, RemoveMode mode) const {
  v1::RemoveVmRequest request;
  request.set_name(name);
  request.set_force(mode == RemoveMode::kForce);
  v1::RemoveVmResponse response;
  return impl_->call(&v1::Control::Stub::RemoveVm, request, &response);
}

Result<VmView> ControlClient::resize_vm(const std::string& name, std::uint64_t size_bytes) const {
  v1::ResizeVmRequest request;
  request.set_name(name);
  request.set_size_bytes(size_bytes);
  v1::ResizeVmResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::ResizeVm, request, &response));
  return read(response.vm());
}

Result<Explanation> ControlClient::explain_vm(const std::string& name) const {
  v1::ExplainVmRequest request;
  request.set_name(name);
  v1::ExplainVmResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::ExplainVm, request, &response));
  return read(response);
}

Result<QuotaView> ControlClient::set_quota(const std::string& name,
                                           const QuotaRequest& change) const {
  v1::SetQuotaRequest request;
  request.set_name(name);
  write(change, request.mutable_change());
  v1::SetQuotaResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::SetQuota, request, &response));
  return read(response.quota());
}

fallow::Status ControlClient::clear_quota(const std::string& name) const {
  v1::ClearQuotaRequest request;
  request.set_name(name);
  v1::ClearQuotaResponse response;
  return impl_->call(&v1::Control::Stub::ClearQuota, request, &response);
}

Result<std::vector<QuotaView>> ControlClient::list_quotas() const {
  v1::ListQuotasResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::ListQuotas, v1::ListQuotasRequest(), &response));
  std::vector<QuotaView> quotas;
  for (const v1::NamedQuota& quota : response.quotas()) {
    quotas.push_back(read(quota));
  }
  return quotas;
}

// The stream is read for as long as the daemon sends, which is some times a second. Amid a part it
// is not ended: half a block would be left.
fallow::Status ControlClient::record(
    const std::function<bool()>& stopped,
    const std::function<fallow::Status(const RecordedPart&)>& take) const {
  grpc::ClientContext context;
  const auto reader = impl_->stub->Record(&context, v1::RecordRequest());
  v1::RecordResponse response;
  fallow::Status taken;
  bool ended = false;
  while (taken && !ended && reader->Read(&response)) {
    taken = take({.blocks = std::move(*response.mutable_blocks()),
                  .operations = response.operations(),
                  .notes = response.notes(),
                  .missing = response.missing()});
    ended = !response.more() && stopped();
  }
  if (!taken || ended) {
    context.TryCancel();
  }
  const grpc::Status status = reader->Finish();
  if (!taken || ended) {
    return taken;
  }
  return status.ok() ? failed("the daemon has stopped, and the recording with it")
                     : error_of(status, impl_->socket_path);
}

Result<CurrentPolicy> ControlClient::show_policy() const {
  v1::ShowPolicyResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::ShowPolicy, v1::ShowPolicyRequest(), &response));
  return CurrentPolicy{.spec = response.spec(), .policy = read(response.policy())};
}

Result<std::vector<PolicyView>> ControlClient::list_policies() const {
  v1::ListPoliciesResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::ListPolicies, v1::ListPoliciesRequest(), &response));
  std::vector<PolicyView> policies;
  for (const v1::Policy& policy : response.policies()) {
    policies.push_back(read(policy));
  }
  return policies;
}

Result<PolicySwitch> ControlClient::set_policy(const std::string& spec) const {
  v1::SetPolicyRequest request;
  request.set_spec(spec);
  v1::SetPolicyResponse response;
  FALLOW_TRY(impl_->call(&v1::Control::Stub::SetPolicy, request, &response));
  return PolicySwitch{.spec = response.spec(), .previous = response.previous()};
}

}  // namespace fallow::node
